import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { IconHierarchy, IconTimeline } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { SERVICE_TABS } from '../../app/pages.ts';
import { useService } from '../../data/hooks.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { Facts } from '../../ui/facts.tsx';
import { byteRate, millis, percent, rate } from '../../ui/format.ts';
import { HealthChip } from '../../ui/health-chip.tsx';
import { WorkloadLink } from '../../ui/links.tsx';
import { State } from '../../ui/state.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { PoliciesPanel } from '../traffic-policies/policies-panel.tsx';
import { SplitPanel } from '../traffic-split/split-panel.tsx';
import { useSplitControl } from '../traffic-split/use-split-control.ts';
import { Neighbours } from './neighbours.tsx';
import { ObjectList } from './object-list.tsx';
import { RequestLog } from './request-log.tsx';
import { BreakdownCharts, GoldenCharts, TcpChart } from './traffic-charts.tsx';

/** One service: figures, callers, how its requests are shared out, and every object that has a say. */
export function ServicePage(): ReactElement {
  const { namespace, name } = useParams({ from: '/services/$namespace/$name' });
  const { tab = 'Overview' } = useSearch({ from: '/services/$namespace/$name' });
  const navigate = useNavigate({ from: '/services/$namespace/$name' });
  const detail = useService(namespace, name);
  if (detail.data === undefined || detail.isPlaceholderData)
    return (
      <div className="page">
        <State error={detail.error} />
      </div>
    );
  const { service, objects } = detail.data;
  const id = `svc:${namespace}/${name}`;
  const tcp = service.rps === 0 && service.ports.every(({ protocol }) => protocol === 'tcp');
  return (
    <div className="page" key={id}>
      <header className="dh">
        <h2>{name}</h2>
        <span className="chip line">{namespace}</span>
        <HealthChip health={service.health} />
        <span style={{ flex: 1 }} />
        <Link className="btn sm" to="/graph" search={{ node: id, type: 'service' }}>
          <IconHierarchy size={14} aria-hidden="true" />
          Show on graph
        </Link>
        <Link className="btn sm" to="/traces" search={{ service: `${name}.${namespace}` }}>
          <IconTimeline size={14} aria-hidden="true" />
          Traces
        </Link>
        <Facts
          of={{
            ...(tcp
              ? { Traffic: <b>{byteRate(service.tcpBytes)}</b> }
              : { Requests: <b>{rate(service.rps)}</b>, Errors: <b>{percent(service.errors)}</b>, p95: <b>{millis(service.p95)}</b> }),
            Ports: service.ports.map((p) => `${p.port} ${p.protocol}`).join(', ') || '–',
            Host: <span className="mono">{service.host}</span>,
          }}
        />
      </header>
      <Tabs of={SERVICE_TABS} on={tab} label="Service" onChange={(next) => void navigate({ search: (held) => ({ ...held, tab: next }), replace: true })} />
      {tab === 'Overview' && (
        <>
          {tcp ? <TcpChart of={id} /> : <GoldenCharts of={id} />}
          <section className="card">
            <div className="h">Workloads</div>
            <DataTable
              rows={service.workloads}
              rowKey={(w) => w.name}
              label="workloads"
              empty="No workload has the labels of its selector, so requests get no answer."
              columns={[
                {
                  title: 'Workload',
                  sort: (w) => w.name,
                  cell: (w) => <WorkloadLink namespace={namespace} name={w.name} className="b brk" />,
                },
                { title: 'Version', sort: (w) => w.version, cell: (w) => w.version },
                {
                  title: 'Proxies connected',
                  sort: (w) => w.healthyEndpoints,
                  cell: (w) => <span className={`num ${w.healthyEndpoints < w.endpoints ? 'warnt' : ''}`}>{`${w.healthyEndpoints} of ${w.endpoints}`}</span>,
                },
              ]}
            />
          </section>
          <Neighbours belongs={(n) => n.service === service.host} />
        </>
      )}
      {tab === 'Traffic' && <Traffic namespace={namespace} name={name} />}
      {tab === 'Metrics' && (
        <>
          {tcp ? <TcpChart of={id} /> : <GoldenCharts of={id} />}
          {!tcp && <BreakdownCharts of={id} />}
        </>
      )}
      {tab === 'Requests' && (
        <section className="card">
          <RequestLog service={`${name}.${namespace}`} />
        </section>
      )}
      {tab === 'Config' && (
        <section className="card">
          <ObjectList objects={objects} />
        </section>
      )}
    </div>
  );
}

function Traffic({ namespace, name }: { namespace: string; name: string }): ReactElement {
  return (
    <PoliciesPanel namespace={namespace} name={name}>
      <section className="card tsp">
        <SplitPanel control={useSplitControl(namespace, name)} />
      </section>
    </PoliciesPanel>
  );
}

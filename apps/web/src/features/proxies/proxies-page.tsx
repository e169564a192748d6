import { type ProxyStatus, compareProxies, proxyName } from '@weft/mesh-core/api';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import type { ReactElement } from 'react';
import { useProxies } from '../../data/hooks.ts';
import { useInNamespace } from '../../data/settings.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { clock } from '../../ui/format.ts';
import { State } from '../../ui/state.tsx';
import { ProxyDetail } from './proxy-detail.tsx';
import { ProxyComplaints, ProxyState } from './proxy-state.tsx';

/** Who counts the requests. */
const TELEMETRY = { embedded: 'own', stats: 'stats logger', als: 'gRPC access log', none: '–' } as const;
const RANK = { nacked: 0, disconnected: 1, stale: 2, synced: 3 } as const;

const COLUMNS: readonly Column<ProxyStatus>[] = [
  {
    title: 'Proxy',
    sort: (p) => proxyName(p.id),
    cell: (p) => (
      <Link to="/proxies" search={{ proxy: p.id }} className="b brk">
        {proxyName(p.id)}
      </Link>
    ),
  },
  { title: 'Namespace', sort: (p) => p.namespace, cell: (p) => p.namespace },
  { title: 'Data plane', sort: (p) => p.dataPlane, cell: (p) => `${p.dataPlane} ${p.version}` },
  { title: 'Telemetry', sort: (p) => TELEMETRY[p.telemetry ?? 'none'], cell: (p) => TELEMETRY[p.telemetry ?? 'none'] },
  { title: 'State', sort: (p) => RANK[p.state], cell: (p) => <ProxyState proxy={p} /> },
  {
    title: 'Has',
    cell: (p) => (
      <>
        {p.types.map((t) => (
          <span
            key={t.type}
            className={`chip ${t.sentVersion === t.ackedVersion ? '' : t.nack ? 'err' : 'warn'}`}
            title={t.sentVersion === t.ackedVersion ? `${t.resources} acknowledged` : t.nack ? `refused: ${t.nack.message}` : 'sent, no answer yet'}
          >
            {t.type} {t.resources}
          </span>
        ))}
        <ProxyComplaints proxy={p} />
      </>
    ),
  },
  { title: 'Last acknowledged', right: true, sort: (p) => p.lastSeenAt, cell: (p) => clock(p.lastSeenAt) },
];

/** Every proxy with what it has taken over, per type, and its own words where it refused; one of them in detail. */
export function ProxiesPage(): ReactElement {
  const proxies = useProxies();
  const { proxy: wanted, tab = 'Clusters' } = useSearch({ from: '/proxies' });
  const navigate = useNavigate({ from: '/proxies' });
  const inNamespace = useInNamespace();
  if (proxies.data === undefined) return <State error={proxies.error} />;
  if (wanted !== undefined) {
    const proxy = proxies.data.find((p) => p.id === wanted);
    if (proxy === undefined) return <State error={`No proxy ${proxyName(wanted)} is known: it has never connected, or was forgotten after it left.`} />;
    return <ProxyDetail proxy={proxy} tab={tab} onTab={(next) => void navigate({ search: (held) => ({ ...held, tab: next }), replace: true })} />;
  }
  return (
    <div className="page">
      <div className="card">
        <DataTable
          rows={proxies.data.filter((p) => inNamespace(p.namespace)).toSorted(compareProxies)}
          columns={COLUMNS}
          rowKey={(p) => p.id}
          label="proxies"
          text={(p) => `${p.id} ${p.dataPlane} ${p.state}`}
          empty="No proxy has joined yet."
        />
      </div>
    </div>
  );
}

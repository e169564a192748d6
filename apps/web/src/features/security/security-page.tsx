import type { WorkloadSecurity } from '@weft/mesh-core/api';
import { refKey } from '@weft/mesh-core/model';
import { IconLock, IconLockOpen, IconLockOff } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { edgeFigures } from '../../data/graph-figures.ts';
import { useGraph, useSecurity } from '../../data/hooks.ts';
import { useInNamespace } from '../../data/settings.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { percent, untilWords } from '../../ui/format.ts';
import { ObjectLink, WorkloadLink } from '../../ui/links.tsx';
import { State } from '../../ui/state.tsx';
import { Transport, isMutualTls } from '../../ui/transport.tsx';

interface Row extends WorkloadSecurity {
  /** Share of the requests it got over mutual TLS; -1 = none seen. */
  seen: number;
}
const MODE = {
  STRICT: ['ok', IconLock, 'Strict', 'mutual TLS only'],
  PERMISSIVE: ['warn', IconLockOpen, 'Permissive', 'mutual TLS and plaintext'],
  DISABLE: ['err', IconLockOff, 'Off', 'plaintext only'],
} as const;

const COLUMNS: readonly Column<Row>[] = [
  {
    title: 'Workload',
    sort: (w) => w.workload,
    cell: (w) => <WorkloadLink namespace={w.namespace} name={w.workload} className="b brk" />,
  },
  { title: 'Namespace', sort: (w) => w.namespace, cell: (w) => w.namespace },
  { title: 'Takes', sort: (w) => w.mtls, cell: (w) => <Mode of={w} /> },
  { title: 'Seen', sort: (w) => w.seen, cell: (w) => <Transport share={w.seen} /> },
  {
    title: 'Said by',
    cell: (w) => (w.peerAuthentication === undefined ? <span className="muted">no PeerAuthentication</span> : <ObjectLink of={w.peerAuthentication} />),
  },
  {
    title: 'Policies',
    sort: (w) => w.policies.length,
    cell: (w) =>
      w.policies.length === 0 ? (
        <span className="muted">none</span>
      ) : (
        w.policies.map((p) => (
          <div key={refKey(p)}>
            <ObjectLink of={p} />
          </div>
        ))
      ),
  },
  { title: 'Identity', sort: (w) => w.identity ?? '', cell: (w) => <span className="mono any sm2">{w.identity ?? '–'}</span> },
  {
    title: 'Certificate ends',
    right: true,
    sort: (w) => w.notAfter ?? Infinity,
    cell: (w) => (w.notAfter === undefined ? '–' : <span title={new Date(w.notAfter).toLocaleString()}>in {untilWords(w.notAfter)}</span>),
  },
];

/** Mutual TLS as configured beside as seen, identities and certificates, and the policies that guard each workload. */
export function SecurityPage(): ReactElement {
  const security = useSecurity();
  const graph = useGraph('workload').data;
  const inNamespace = useInNamespace();
  if (security.data === undefined) return <State error={security.error} />;
  const rows = security.data.items
    .filter((w) => inNamespace(w.namespace))
    .map((w): Row => {
      const node = graph?.nodes.find((n) => n.namespace === w.namespace && n.workload === w.workload);
      const calls = (graph?.edges.flatMap((e, i) => (e.target === node?.id ? [edgeFigures(graph.edgeRows[i])] : [])) ?? []).filter(({ mtls }) => mtls >= 0);
      const requests = calls.reduce((sum, { rps }) => sum + rps, 0);
      return { ...w, seen: requests === 0 ? -1 : calls.reduce((sum, { rps, mtls }) => sum + rps * mtls, 0) / requests };
    });
  const strict = rows.filter((w) => w.mtls === 'STRICT').length;
  const seen = rows.filter((w) => w.seen >= 0);
  const soonest = rows.reduce<number | undefined>((min, w) => (w.notAfter === undefined ? min : Math.min(min ?? Infinity, w.notAfter)), undefined);
  return (
    <div className="page">
      <div className="cards">
        <div className="card">
          Strict mutual TLS
          <b>
            {strict} of {rows.length}
          </b>
        </div>
        <div className="card">
          Seen over mutual TLS<b>{seen.length === 0 ? '–' : `${seen.filter((w) => isMutualTls(w.seen)).length} of ${seen.length}`}</b>
        </div>
        <div className="card">
          With a policy
          <b>
            {rows.filter((w) => w.policies.length > 0).length} of {rows.length}
          </b>
        </div>
        <div className="card">
          Next certificate ends<b>{soonest === undefined ? '–' : `in ${untilWords(soonest)}`}</b>
        </div>
      </div>
      <div className="card">
        <DataTable
          rows={rows}
          columns={COLUMNS}
          rowKey={(w) => `${w.namespace}/${w.workload}`}
          label="workloads"
          text={(w) => `${w.workload} ${w.namespace} ${w.mtls} ${w.identity ?? ''} ${w.policies.map((p) => p.name).join(' ')}`}
          empty="No workloads here yet."
        />
      </div>
    </div>
  );
}

function Mode({ of }: { of: Row }): ReactElement {
  const [tone, Icon, word, what] = MODE[of.mtls];
  return (
    <>
      <span className={`chip ${tone}`} title={what}>
        <Icon size={12} aria-hidden="true" />
        {word}
      </span>
      {Object.entries(of.ports).map(([port, mode]) => (
        <span className={`chip ${MODE[mode][0]}`} key={port}>
          {port} {MODE[mode][2].toLowerCase()}
        </span>
      ))}
      {of.seen >= 0 && of.seen < 1 && of.mtls === 'PERMISSIVE' && <span className="muted"> {percent(1 - of.seen)} plaintext</span>}
    </>
  );
}

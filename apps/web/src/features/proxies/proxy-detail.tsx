import { type ProxyStatus, proxyName } from '@weft/mesh-core/api';
import { refKey } from '@weft/mesh-core/model';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { IconArrowLeft, IconDownload } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import { z } from 'zod';
import { PROXY_TABS } from '../../app/pages.ts';
import { request } from '../../data/client.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { Facts } from '../../ui/facts.tsx';
import { clock, untilWords } from '../../ui/format.ts';
import { ObjectLink, WorkloadLink } from '../../ui/links.tsx';
import { State } from '../../ui/state.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { type Dump, type DumpPart, type DumpRow, dumpTable } from './dump-tables.ts';
import { ProxyComplaints, ProxyState } from './proxy-state.tsx';

type ProxyTab = (typeof PROXY_TABS)[number];
const dumpSchema = z.record(z.string(), z.array(z.record(z.string(), z.unknown())));

/** One proxy: who it is, how far it is in step, and everything it was sent. */
export function ProxyDetail({ proxy, tab, onTab }: { proxy: ProxyStatus; tab: ProxyTab; onTab(tab: ProxyTab): void }): ReactElement {
  const versions = proxy.types.map((t) => t.sentVersion).join();
  const dump = useQuery({
    queryKey: ['dump', proxy.id, versions],
    queryFn: ({ signal }) => request(dumpSchema, `/proxies/${encodeURIComponent(proxy.id)}/config`, { signal }),
    staleTime: Infinity,
    retry: false,
  });
  const latest = Math.max(0, ...proxy.types.map((t) => t.ackedAt ?? 0));
  const text = dump.data === undefined ? '' : JSON.stringify(dump.data, undefined, 2);
  return (
    <div className="page">
      <header className="dh">
        <Link className="btn icon sm" to="/proxies" aria-label="All proxies">
          <IconArrowLeft size={14} />
        </Link>
        <h2>{proxyName(proxy.id)}</h2>
        <span className="chip line">{proxy.namespace}</span>
        <ProxyState proxy={proxy} />
        <span style={{ flex: 1 }} />
        <WorkloadLink namespace={proxy.namespace} name={proxy.workload} className="btn sm">
          Workload
        </WorkloadLink>
        <Facts
          of={{
            'Data plane': `${proxy.dataPlane} ${proxy.version}`,
            Protocol: proxy.protocol === 'delta' ? 'delta ADS' : proxy.protocol === 'sotw' ? 'state of the world ADS' : '–',
            'Connected since': proxy.connectedAt === undefined ? '–' : clock(proxy.connectedAt),
            'Last acknowledged': latest === 0 ? '–' : clock(latest),
            Admin: <span className="mono">127.0.0.1:{proxy.adminPort}</span>,
            Identity: <span className="mono">{proxy.identity || '–'}</span>,
            Certificate: proxy.certificate === undefined ? '–' : `ends in ${untilWords(proxy.certificate.notAfter)}`,
          }}
        />
        <ProxyComplaints proxy={proxy} />
      </header>
      <Tabs of={PROXY_TABS} on={tab} label="What the proxy has" onChange={onTab} />
      <section className="card">
        {dump.data === undefined ? (
          <State error={dump.error} />
        ) : tab === 'JSON' ? (
          <>
            <div className="dth">
              <span className="muted">Everything it was sent; keys are left out.</span>
              <span style={{ flex: 1 }} />
              <a className="btn sm" download={`${proxyName(proxy.id)}.json`} href={`data:application/json;charset=utf-8,${encodeURIComponent(text)}`}>
                <IconDownload size={14} aria-hidden="true" />
                Download
              </a>
            </div>
            <pre className="json mono" tabIndex={0} aria-label="Resources as JSON">
              {text}
            </pre>
          </>
        ) : (
          <Part key={tab} part={tab} dump={dump.data} />
        )}
      </section>
    </div>
  );
}

function Part({ part, dump }: { part: DumpPart; dump: Dump }): ReactElement {
  const { head, rows } = dumpTable(part, dump);
  const [open, setOpen] = useState<number>();
  const numbered = rows.map((row, i) => ({ ...row, i }));
  const linked = rows.some((r) => r.object !== undefined);
  return (
    <>
      <DataTable
        rows={numbered}
        rowKey={(r) => r.i}
        label={part.toLowerCase()}
        text={(r) => `${r.cells.join(' ')} ${r.object === undefined ? '' : refKey(r.object)}`}
        empty={`It was sent no ${part.toLowerCase()}.`}
        columns={[
          ...head.map((title, column) => ({
            title,
            sort: (r: DumpRow) => r.cells[column] ?? '',
            cell: (r: DumpRow & { i: number }) =>
              column === 0 ? (
                <button type="button" className="ln brk" aria-expanded={open === r.i} onClick={() => setOpen(open === r.i ? undefined : r.i)}>
                  {r.cells[0] === '' ? '–' : r.cells[0]}
                </button>
              ) : (
                <span className="brk t2">{r.cells[column]}</span>
              ),
          })),
          ...(linked ? [{ title: 'Made of', cell: (r: DumpRow) => (r.object === undefined ? '' : <ObjectLink of={r.object} />) }] : []),
        ]}
      />
      {open !== undefined && (
        <pre className="json mono" tabIndex={0} aria-label="Resource as JSON">
          {JSON.stringify(rows[open]?.json, undefined, 2)}
        </pre>
      )}
    </>
  );
}

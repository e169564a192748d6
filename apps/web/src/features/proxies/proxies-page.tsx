import { proxyName } from '@weft/mesh-core/api';
import type { ReactElement } from 'react';
import { useProxies } from '../../data/hooks.ts';
import { useSettings } from '../../data/settings.ts';
import { State } from '../../ui/state.tsx';

/** Who counts the requests. */
const TELEMETRY = { embedded: 'own', stats: 'stats logger', als: 'gRPC access log', none: '–' } as const;

/** Every proxy with what it has taken over, per type, and its own words where it refused. */
export function ProxiesPage(): ReactElement {
  const proxies = useProxies();
  const namespace = useSettings((s) => s.namespace);
  const rows = proxies.data?.filter((p) => namespace === '' || p.namespace === namespace);
  if (rows === undefined) return <State error={proxies.error} />;
  if (rows.length === 0) return <State>No proxy has joined yet.</State>;
  return (
    <div className="page">
      <div className="card">
        <table>
          <thead>
            <tr>
              <th>Proxy</th>
              <th>Namespace</th>
              <th>Data plane</th>
              <th>Telemetry</th>
              <th>State</th>
              <th>Types</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((p) => (
              <tr key={p.id}>
                <td>
                  <b>{proxyName(p.id)}</b>
                </td>
                <td>{p.namespace}</td>
                <td>
                  {p.dataPlane} {p.version}
                </td>
                <td>{TELEMETRY[p.telemetry ?? 'none']}</td>
                <td>
                  <span className={`chip ${p.state === 'synced' ? 'ok' : p.state === 'nacked' ? 'err' : 'warn'}`}>{p.state}</span>
                </td>
                <td>
                  {p.types.map((t) => (
                    <span
                      key={t.type}
                      className={`chip ${t.nack ? 'err' : t.sentVersion === t.ackedVersion ? '' : 'warn'}`}
                      title={t.nack?.message}
                      style={{ marginRight: 4 }}
                    >
                      {t.type} {t.resources}
                    </span>
                  ))}
                  {p.types.map(
                    (t) =>
                      t.nack && (
                        <div key={t.type} style={{ color: 'var(--err)' }}>
                          {t.type}: {t.nack.message}
                        </div>
                      ),
                  )}
                  {(p.envoyFilters ?? []).map((f) => (
                    <div key={f.filter} style={f.applied ? undefined : { color: 'var(--warn)' }}>
                      {f.filter} {f.applied ? 'applied' : `not applied: ${f.reason ?? ''}`}
                    </div>
                  ))}
                  {(p.missingKeys ?? []).map((k) => (
                    <div key={`${k.policy} ${k.rule}`} style={{ color: 'var(--err)' }}>
                      {k.policy} refuses every token: {k.reason}
                    </div>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

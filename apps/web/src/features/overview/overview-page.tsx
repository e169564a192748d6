import type { ReactElement } from 'react';
import { useServices, useStatus } from '../../data/hooks.ts';
import { useSettings } from '../../data/settings.ts';
import { millis, percent, rate } from '../../ui/format.ts';
import { State } from '../../ui/state.tsx';

/** State of the mesh and its services. */
export function OverviewPage(): ReactElement {
  const status = useStatus();
  const services = useServices();
  const namespace = useSettings((s) => s.namespace);
  const rows = services.data?.items.filter((s) => namespace === '' || s.namespace === namespace);
  return (
    <div className="page">
      {status && (
        <div className="cards">
          <div className="card">
            Proxies synced
            <b>
              {status.proxies.synced} of {status.proxies.total}
            </b>
          </div>
          <div className="card">
            Refused<b>{status.proxies.nacked}</b>
          </div>
          <div className="card">
            Config problems
            <b>
              {status.problems.errors} errors, {status.problems.warnings} warnings
            </b>
          </div>
          <div className="card">
            Revision<b>{status.revision}</b>
          </div>
        </div>
      )}
      <div className="card">
        {rows === undefined ? (
          <State error={services.error} />
        ) : rows.length === 0 ? (
          <State>No services here yet.</State>
        ) : (
          <table>
            <thead>
              <tr>
                <th>Service</th>
                <th>Namespace</th>
                <th>Health</th>
                <th>Workloads</th>
                <th className="r">Requests</th>
                <th className="r">Errors</th>
                <th className="r">p95</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((s) => (
                <tr key={s.host}>
                  <td>
                    <b>{s.name}</b>
                  </td>
                  <td>{s.namespace}</td>
                  <td>
                    <span className={`chip ${s.health === 'healthy' ? 'ok' : s.health === 'degraded' ? 'warn' : s.health === 'failing' ? 'err' : ''}`}>
                      {s.health}
                    </span>
                  </td>
                  <td>{s.workloads.map((w) => `${w.name} ${w.healthyEndpoints}/${w.endpoints}`).join(', ')}</td>
                  <td className="r">{rate(s.rps)}</td>
                  <td className="r">{percent(s.errors)}</td>
                  <td className="r">{millis(s.p95)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </div>
  );
}

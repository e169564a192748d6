import { type ConfigCheck, proxyName } from '@weft/mesh-core/api';
import { refKey, refusesWrite } from '@weft/mesh-core/model';
import { IconAlertOctagon, IconAlertTriangle, IconCircleCheck, IconCpu } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { rate, seriesColor } from '../../ui/format.ts';

/** What applying the text would do: traffic that moves, proxies that change, checks passed. */
export function EffectPanel({ check, totalProxies }: { check: ConfigCheck; totalProxies: number }): ReactElement {
  const { traffic, proxies, problems, objects } = check;
  const broken = problems.some(refusesWrite);
  const types = new Set(proxies.flatMap((p) => p.types));
  return (
    <>
      {(broken ? [] : traffic).map((t) => (
        <section key={t.host}>
          <div className="h">
            Traffic to {t.host.split('.')[0]}
            <span className="num t2">{rate(t.rps)}</span>
          </div>
          <SplitPicture traffic={t} />
        </section>
      ))}
      {!broken && (
        <section>
          <div className="h">
            Proxies that change
            <span className="num t2">
              {proxies.length} of {totalProxies}
            </span>
          </div>
          <table>
            <tbody>
              {proxies.map((p) => (
                <tr key={p.proxyId}>
                  <td>
                    <span className="pw">
                      <IconCpu size={14} stroke={1.5} aria-hidden="true" />
                      {proxyName(p.proxyId)}
                    </span>
                  </td>
                  <td className="r t2">{p.types.join(', ')}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <p className="muted sm">
            {proxies.length === 0
              ? objects.some((o) => o.verb !== 'unchanged')
                ? 'No proxy gets other resources from this.'
                : 'Nothing changes.'
              : types.has('listener')
                ? 'Listeners change: new connections take the new ones, running requests end on the old.'
                : 'No listener restarts, no connection drops.'}
          </p>
        </section>
      )}
      <section>
        <div className="h">Checks</div>
        <Check label="Schema" found={problems.filter((p) => !p.code.startsWith('IST') && !p.code.startsWith('KIA'))} />
        <Check label="References and conflicts" found={problems.filter((p) => p.code.startsWith('IST') || p.code.startsWith('KIA'))} />
        {objects.map((o) => (
          <div className="ck" key={refKey(o.ref)}>
            <IconCircleCheck size={15} className={o.verb === 'unchanged' ? 'muted' : 'ok'} aria-hidden="true" />
            <span>
              {o.ref.kind} {o.ref.name}
            </span>
            <span className="t2">{o.verb}</span>
          </div>
        ))}
      </section>
    </>
  );
}

function Check({ label, found }: { label: string; found: ConfigCheck['problems'] }): ReactElement {
  const errors = found.filter((p) => p.severity === 'error').length;
  const warnings = found.filter((p) => p.severity === 'warning').length;
  const Icon = errors > 0 ? IconAlertOctagon : warnings > 0 ? IconAlertTriangle : IconCircleCheck;
  return (
    <div className="ck">
      <Icon size={15} className={errors > 0 ? 'error' : warnings > 0 ? 'warning' : 'ok'} aria-hidden="true" />
      <span>{label}</span>
      <span className="num t2">
        {errors > 0 ? `${errors} ${errors === 1 ? 'error' : 'errors'}` : warnings > 0 ? `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}` : ''}
      </span>
    </div>
  );
}

const ROW = 34;
const share = (percent: number): string => `${Math.round(percent * 10) / 10} %`;

/** Where the requests of a service go, before and after. */
function SplitPicture({ traffic }: { traffic: ConfigCheck['traffic'][number] }): ReactElement {
  const { destinations, rps } = traffic;
  const height = destinations.length * ROW + 12;
  const label = destinations.map((d) => `${d.subset} goes from ${d.before} to ${d.after} percent`).join(', ');
  return (
    <svg className="sp" width="100%" viewBox={`0 0 308 ${height}`} role="img" aria-label={label}>
      <circle cx="17" cy={height / 2} r="14" fill="var(--accent)" />
      <path
        d="M2 8h4l4-4h4M6 8l4 4h4"
        transform={`translate(10,${height / 2 - 7}) scale(.875)`}
        fill="none"
        stroke="var(--on-accent)"
        strokeWidth="1.4"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
      {destinations.map((d, i) => {
        const y = 23 + i * ROW;
        const idle = d.after === 0;
        const color = idle ? 'var(--g-idle)' : seriesColor(i);
        return (
          <g key={d.subset}>
            <path
              d={`M31,${height / 2}C70,${height / 2} 66,${y} 104,${y}`}
              fill="none"
              stroke={color}
              strokeWidth={idle ? 1.5 : 1.5 + d.after / 11}
              strokeOpacity={idle ? 1 : 0.85}
              strokeLinecap="round"
              {...(idle ? { strokeDasharray: '2 5' } : {})}
            />
            <circle cx="118" cy={y} r="11" fill="var(--node)" stroke={color} strokeWidth="2" />
            <text x="118" y={y + 4} textAnchor="middle" className="vn">
              {d.subset.slice(0, 3)}
            </text>
            <text x="140" y={y + 4.5} className="was">
              {share(d.before)}
            </text>
            {d.before !== d.after && (
              <>
                <path
                  d={`M181,${y}h14m-4.5,-4l4.5,4l-4.5,4`}
                  fill="none"
                  stroke="var(--text-3)"
                  strokeWidth="1.4"
                  strokeLinecap="round"
                  strokeLinejoin="round"
                />
                <text x="206" y={y + 5} className="now">
                  {share(d.after)}
                </text>
              </>
            )}
            <text x="306" y={y + 4.5} textAnchor="end" className="was">
              {rate((rps * d.after) / 100)}
            </text>
          </g>
        );
      })}
    </svg>
  );
}

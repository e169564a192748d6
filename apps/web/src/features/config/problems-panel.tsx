import type { ConfigCheck } from '@weft/mesh-core/api';
import { IconAlertOctagon, IconAlertTriangle, IconInfoCircle } from '@tabler/icons-react';
import type { ReactElement } from 'react';

type Problem = ConfigCheck['problems'][number];
const ICON = { error: IconAlertOctagon, warning: IconAlertTriangle, info: IconInfoCircle } as const;

/** What is wrong with the text, where, and how to mend it. */
export function ProblemsPanel({
  problems,
  checkedMs,
  onGo,
  onFix,
}: {
  problems: readonly Problem[];
  checkedMs: number | undefined;
  onGo(problem: Problem): void;
  onFix(problem: Problem): void;
}): ReactElement {
  const count = (severity: Problem['severity']): number => problems.filter((p) => p.severity === severity).length;
  return (
    <section className="pb" aria-label="Problems">
      <div className="pbh">
        <b>Problems</b>
        {count('error') > 0 && (
          <span className="chip err">
            <IconAlertOctagon size={12} aria-hidden="true" />
            {count('error')}
          </span>
        )}
        {count('warning') > 0 && (
          <span className="chip warn">
            <IconAlertTriangle size={12} aria-hidden="true" />
            {count('warning')}
          </span>
        )}
        {problems.length === 0 && <span className="chip ok">none</span>}
        <span style={{ flex: 1 }} />
        {checkedMs !== undefined && <span className="muted num">checked against all objects in {checkedMs.toFixed(0)} ms</span>}
      </div>
      <div className="pbl">
        {problems.map((p, i) => {
          const Icon = ICON[p.severity];
          return (
            <div className="pr" key={i} data-testid="problem-row">
              <Icon size={15} className={p.severity} aria-label={p.severity} />
              <button type="button" className="ms" title={p.path} onClick={() => onGo(p)}>
                {p.message}
              </button>
              {p.fix !== undefined && p.line !== undefined && (
                <button type="button" className="fx" onClick={() => onFix(p)}>
                  {p.fix.label}
                </button>
              )}
              <span className="mono num muted">{p.line === undefined ? '' : `${p.line}:${p.column ?? 1}`}</span>
            </div>
          );
        })}
      </div>
    </section>
  );
}

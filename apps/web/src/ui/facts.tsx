import type { ReactElement, ReactNode } from 'react';

/** Names with what they stand for, as many beside each other as there is room. */
export function Facts({ of }: { of: Readonly<Record<string, ReactNode>> }): ReactElement {
  return (
    <dl className="facts">
      {Object.entries(of).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="brk num">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

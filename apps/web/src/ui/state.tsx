import type { ReactElement } from 'react';

/** What a view shows in place of data: loading, nothing, or why not. */
export function State({ error, children }: { error?: Error | string | null | undefined; children?: string }): ReactElement {
  if (error)
    return (
      <div className="state err" role="alert">
        {typeof error === 'string' ? error : error.message}
      </div>
    );
  return (
    <div className="state" role="status">
      {children ?? 'Loading…'}
    </div>
  );
}

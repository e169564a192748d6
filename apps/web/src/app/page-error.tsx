import type { ErrorComponentProps } from '@tanstack/react-router';
import type { ReactElement } from 'react';

/** In place of a page that failed: often one whose code is gone since the server was updated, so that loading anew mends it. */
export function PageError({ error, reset }: ErrorComponentProps): ReactElement {
  return (
    <div className="state err" role="alert">
      <p>This page failed: {error instanceof Error ? error.message : String(error)}</p>
      <p className="act" style={{ justifyContent: 'center' }}>
        <button type="button" className="btn" style={{ flex: 'none' }} onClick={reset}>
          Try again
        </button>
        <button type="button" className="btn pri" style={{ flex: 'none' }} onClick={() => location.reload()}>
          Reload the console
        </button>
      </p>
    </div>
  );
}

import { IconLock } from '@tabler/icons-react';
import type { ReactElement } from 'react';

/** What colours and marks mean. */
export function Legend(): ReactElement {
  return (
    <div className="legend" role="group" aria-label="Legend">
      <span>
        <i style={{ background: 'var(--g-ok)' }} />
        Healthy
      </span>
      <span>
        <svg width="11" height="11" aria-hidden="true">
          <path d="M5.500 1L10.500 10H.500z" fill="var(--g-warn)" />
        </svg>
        Degraded
      </span>
      <span>
        <svg width="11" height="11" aria-hidden="true">
          <path d="M3.500 .500h4l3 3v4l-3 3h-4l-3-3v-4z" fill="var(--g-err)" />
        </svg>
        Failing
      </span>
      <span>
        <i className="dash" />
        Idle
      </span>
      <span>
        <svg width="11" height="11" aria-hidden="true">
          <path d="M5.500,.5l5,5l-5,5l-5,-5z" fill="var(--g-err)" />
        </svg>
        Error
      </span>
      <span>
        <svg width="11" height="11" aria-hidden="true">
          <circle cx="5.5" cy="5.5" r="3.4" fill="var(--node)" stroke="var(--g-ok)" strokeWidth="1.6" />
        </svg>
        Request
      </span>
      <span>
        <IconLock size={12} stroke={1.5} aria-hidden="true" />
        mTLS
      </span>
    </div>
  );
}

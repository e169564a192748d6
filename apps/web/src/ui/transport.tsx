import { IconLock, IconLockOpen } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { percent } from './format.ts';

/** Whether requests go over mutual TLS, but for a stray one; `share` of them do. */
export function isMutualTls(share: number): boolean {
  return share > 0.99;
}

/** How requests go, of which `share` go over mutual TLS; negative = nobody has seen. */
export function transportWords(share: number): string {
  if (share < 0) return 'unknown';
  if (isMutualTls(share)) return 'mTLS';
  return share === 0 ? 'plaintext' : `${percent(share)} mTLS`;
}

export function Transport({ share }: { share: number }): ReactElement {
  const Icon = isMutualTls(share) ? IconLock : IconLockOpen;
  return (
    <span className={`chip ${isMutualTls(share) ? 'ok' : share < 0 ? '' : 'warn'}`}>
      {share >= 0 && <Icon size={12} aria-hidden="true" />}
      {transportWords(share)}
    </span>
  );
}

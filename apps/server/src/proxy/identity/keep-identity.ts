// Has a valid identity at hand for as long as the proxy runs: from disk, else from the control plane, renewed at half life.

import type { ProxySpec } from '../config/proxy-spec.ts';
import type { LastGood } from '../xds-client/last-good.ts';
import { type XdsIdentity, requestIdentity } from './workload-identity.ts';

const FIRST_BACK_OFF_MS = 100;
const MAX_BACK_OFF_MS = 5_000;
/** setTimeout takes no more. */
const MAX_TIMER_MS = 2_147_483_647;

export interface KeptIdentity {
  current(): XdsIdentity | undefined;
  /** @throws when there is none yet. */
  require(): XdsIdentity;
  stop(): void;
}

/** `onIdentity` is called (asynchronously) when the first identity is there and after each renewal. */
export function keepIdentity(
  spec: ProxySpec,
  store: Pick<LastGood, 'identity' | 'saveIdentity'>,
  log: (message: string) => void,
  onIdentity: () => void,
): KeptIdentity {
  let current = store.identity(spec.rootCaPem);
  let timer: NodeJS.Timeout | undefined;
  let backOff = FIRST_BACK_OFF_MS;
  let told = '';
  let stopped = false;

  const later = (ms: number): void => {
    if (!stopped) timer = setTimeout(() => void renew(), Math.min(ms, MAX_TIMER_MS));
  };
  const untilHalfLife = (identity: XdsIdentity): number => Math.max(1_000, (identity.notBefore + identity.notAfter) / 2 - Date.now());
  const renew = async (): Promise<void> => {
    // An expired certificate proves nothing: then the join token has to.
    const proof = current !== undefined && current.notAfter > Date.now() ? current : undefined;
    try {
      const next = await requestIdentity(spec, proof);
      if (stopped) return;
      current = next;
      backOff = FIRST_BACK_OFF_MS;
      told = '';
      store.saveIdentity(next, spec.rootCaPem);
      onIdentity();
      later(untilHalfLife(next));
    } catch (error) {
      const { message } = error as Error;
      if (message !== told) log(`no certificate from ${spec.xdsAddress}: ${message}; trying again`);
      told = message;
      later(backOff * (0.5 + Math.random()));
      backOff = Math.min(backOff * 2, MAX_BACK_OFF_MS);
    }
  };
  if (current === undefined) queueMicrotask(() => void renew());
  else {
    queueMicrotask(onIdentity);
    later(untilHalfLife(current));
  }
  return {
    current: () => current,
    require: () => {
      if (current === undefined) throw new Error('no identity yet');
      return current;
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

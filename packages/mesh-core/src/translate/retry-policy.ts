// Retries of outbound routes.

import type { JsonObject } from '@bufbuild/protobuf';
import { type HttpRouteSpec, durationMs } from '../config/index.ts';
import { any, seconds, without } from './common.ts';

/** Istio's default: two retries on what is safe to repeat. */
const DEFAULT_RETRY_ON = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes';

const PREVIOUS_HOSTS: JsonObject = {
  name: 'envoy.retry_host_predicates.previous_hosts',
  typedConfig: any('envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate'),
};
const PREVIOUS_PRIORITIES: JsonObject = {
  name: 'envoy.retry_priorities.previous_priorities',
  typedConfig: any('envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig', { updateFrequency: 2 }),
};

/** Envoy's retry policy; undefined where the rule switches retries off. `hashed` destinations stay on the host of their hash. */
export function retryPolicy(retries: HttpRouteSpec['retries'], hashed: boolean): JsonObject | undefined {
  if (retries !== undefined && (retries.attempts ?? 0) === 0) return undefined;
  const { on, codes } = conditions(retries?.retryOn);
  const avoidPrevious = retries?.retryIgnorePreviousHosts ?? !hashed;
  return without({
    retryOn: on,
    numRetries: retries?.attempts ?? 2,
    retriableStatusCodes: codes.length === 0 ? undefined : codes,
    perTryTimeout: retries?.perTryTimeout === undefined ? undefined : seconds(durationMs(retries.perTryTimeout) ?? 0),
    retryBackOff: retries?.backoff === undefined ? undefined : { baseInterval: seconds(durationMs(retries.backoff) ?? 25) },
    hostSelectionRetryMaxAttempts: '5',
    retryHostPredicate: avoidPrevious ? [PREVIOUS_HOSTS] : undefined,
    retryPriority: retries?.retryRemoteLocalities === true ? PREVIOUS_PRIORITIES : undefined,
  });
}

/** Numbers in retryOn are status codes, which need a condition of their own to count. */
function conditions(retryOn: string | undefined): { on: string; codes: number[] } {
  if (retryOn === undefined || retryOn === '') return { on: DEFAULT_RETRY_ON, codes: [] };
  const words = retryOn.split(',').map((w) => w.trim());
  const codes = words.filter((w) => /^\d+$/.test(w)).map(Number);
  const names = words.filter((w) => w !== '' && !/^\d+$/.test(w));
  if (codes.length > 0 && !names.includes('retriable-status-codes')) names.push('retriable-status-codes');
  return { on: names.join(','), codes };
}

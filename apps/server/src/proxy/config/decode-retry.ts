// Retry policies of routes and virtual hosts.

import { decodeHeaderMatch } from './decode-route-match.ts';
import type { Fields } from './fields.ts';
import type { RetryPolicy } from './model.ts';
import { shared } from './shared.ts';

/** Envoy's cap on pauses a response may ask for. */
const RATE_LIMITED_MAX_MS = 300_000;

export function decodeRetry(fields: Fields): RetryPolicy {
  const backOff = fields.object('retryBackOff');
  // Below a millisecond Envoy rounds up to one.
  const baseIntervalMs = Math.max(backOff?.ms('baseInterval', 25) ?? 25, 1);
  const limited = fields.object('rateLimitedRetryBackOff');
  const policy: RetryPolicy = {
    on: fields
      .text('retryOn')
      .split(',')
      .flatMap((name) => name.trim() || []),
    statusCodes: fields.texts('retriableStatusCodes').map(Number),
    retries: fields.number('numRetries', 1),
    perTryTimeoutMs: fields.ms('perTryTimeout'),
    perTryIdleTimeoutMs: fields.ms('perTryIdleTimeout'),
    baseIntervalMs,
    maxIntervalMs: backOff?.ms('maxInterval', baseIntervalMs * 10) ?? baseIntervalMs * 10,
    retriableHeaders: fields.list('retriableHeaders').map(decodeHeaderMatch),
    requestHeaders: fields.list('retriableRequestHeaders').map(decodeHeaderMatch),
    ...(limited === undefined
      ? {}
      : {
          rateLimited: {
            headers: limited.list('resetHeaders').map((header) => ({
              name: header.text('name').toLowerCase(),
              format: header.text('format') === 'UNIX_TIMESTAMP' ? ('unix-timestamp' as const) : ('seconds' as const),
            })),
            maxIntervalMs: limited.ms('maxInterval', RATE_LIMITED_MAX_MS),
          },
        }),
    avoidPreviousHosts: decodePredicates(fields),
    ...decodePriority(fields.object('retryPriority')),
    hostSelectionAttempts: fields.number('hostSelectionRetryMaxAttempts', 1),
  };
  backOff?.end();
  limited?.end();
  fields.end();
  return shared(policy);
}

function decodePriority(fields: Fields | undefined): Pick<RetryPolicy, 'avoidPriorities'> {
  if (fields === undefined) return {};
  const name = fields.text('name');
  const config = fields.object('typedConfig');
  const avoidPriorities = config?.number('updateFrequency') ?? 0;
  if (name === 'envoy.retry_priorities.previous_priorities' && avoidPriorities > 0) return { avoidPriorities };
  fields.problem('name', `${name} is not supported`);
  return {};
}

function decodePredicates(fields: Fields): boolean {
  let previous = false;
  for (const predicate of fields.list('retryHostPredicate')) {
    const name = predicate.text('name');
    if (name === 'envoy.retry_host_predicates.previous_hosts') previous = true;
    else predicate.problem('name', `${name} is not supported`);
  }
  return previous;
}

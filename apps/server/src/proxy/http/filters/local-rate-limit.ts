// envoy.filters.http.local_ratelimit: a token bucket per route, in this process (or per client connection).

import { happens, TokenBucket } from '@weft/mesh-core/traffic';
import type { ConnectionContext } from '../downstream.ts';
import { compileHeaderOps } from '../header-ops.ts';
import { compileHeaderValue } from '../header-values.ts';
import { managerPolicy } from '../policy/manager-policy.ts';
import type { FilteredRequest, RouteFilterFactory } from './chain.ts';

const resourceExhausted = 8;

export const localRateLimitFilter: RouteFilterFactory = ({ filters: { localRateLimit: spec } }) => {
  if (spec === undefined) return undefined;
  const responseHeaders = compileHeaderOps([spec.responseHeaders], 'response');
  const requestHeaders = spec.requestHeadersWhenNotEnforced.add.map(({ name, value }) => ({ name, value: compileHeaderValue(value) }));
  let shared: TokenBucket | undefined;
  const own = new WeakMap<ConnectionContext, TokenBucket>();

  const bucketOf = (context: ConnectionContext, now: number): TokenBucket => {
    if (!spec.perConnection) return (shared ??= new TokenBucket(spec.bucket, now));
    let bucket = own.get(context);
    if (bucket === undefined) own.set(context, (bucket = new TokenBucket(spec.bucket, now)));
    return bucket;
  };
  const tell = (request: FilteredRequest, bucket: TokenBucket): void => {
    if (!spec.rateLimitHeaders) return;
    request.setResponseHeader('x-ratelimit-limit', String(spec.bucket.maxTokens));
    request.setResponseHeader('x-ratelimit-remaining', String(bucket.remaining()));
    request.setResponseHeader('x-ratelimit-reset', String(bucket.resetSeconds()));
  };
  return {
    onRequest(request) {
      const { deps, manager } = request.context;
      if (!managerPolicy(manager).runs('local-ratelimit') || !happens(spec.enabled, deps.random)) return 'next';
      const now = deps.clock();
      const bucket = bucketOf(request.context, now);
      const free = bucket.take(now);
      tell(request, bucket);
      if (free) return 'next';
      if (!happens(spec.enforced, deps.random)) {
        for (const { name, value } of requestHeaders) request.setRequestHeader(name, typeof value === 'string' ? value : value(request));
        return 'next';
      }
      request.answer(
        spec.status,
        'local_rate_limited',
        'RL',
        'local_rate_limited',
        responseHeaders.lines(request),
        spec.grpcResourceExhausted ? resourceExhausted : undefined,
      );
      return 'stop';
    },
  };
};

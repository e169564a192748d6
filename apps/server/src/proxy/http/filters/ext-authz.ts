// envoy.filters.http.ext_authz: another service decides whether a request may go on, and what is to be changed of it. The request, and
// its body as far as that counts, waits for the answer.

import { compileMetadataMatch, happens } from '@weft/mesh-core/traffic';
import type { ExtAuthz } from '../../config/ext-authz-model.ts';
import type { Counter, Counters } from '../counters.ts';
import { alwaysTold, anyOf, compileHttpService } from '../ext-authz/http-service.ts';
import { type CheckCounters, type CompiledCheck, RequestCheck } from '../ext-authz/request-check.ts';
import type { RouteFilter } from './chain.ts';

/** `scope`: what the names of its counters begin with. @throws RegexError */
export function extAuthzFilter(name: string, config: ExtAuthz, scope: string, counters: Counters): RouteFilter {
  const prefix = config.statPrefix === '' ? 'ext_authz.' : `ext_authz.${config.statPrefix}.`;
  const counter = (key: string): Counter => counters.of(`${scope}${prefix}${key}`);
  const { service, check, enabled, enabledMetadata } = config;
  const listed = check.allowedHeaders === undefined ? () => true : anyOf(check.allowedHeaders);
  const allowed: typeof listed = service.kind === 'grpc' ? listed : (header) => alwaysTold.includes(header) || listed(header);
  const disallowed = anyOf(check.disallowedHeaders);
  const wants = enabledMetadata === undefined ? () => true : compileMetadataMatch(enabledMetadata);
  const compiled: CompiledCheck = {
    config,
    http: service.kind === 'http' ? compileHttpService(service) : undefined,
    tells: (header) => !disallowed(header) && allowed(header),
    counters: Object.fromEntries(['ok', 'denied', 'error', 'failure_mode_allowed'].map((key) => [key, counter(key)])) as unknown as CheckCounters,
    ofCluster: (cluster, key) => counters.of(`cluster.${cluster}.${prefix}${key}`),
  };
  const disabled = counter('disabled');
  return {
    onRequest(request) {
      const { route } = request.record;
      const said = route?.filters.extAuthz?.[name];
      // Without a route nobody is asked (as in Envoy).
      if (route === undefined || said === 'off') return 'next';
      if (happens(enabled, request.context.deps.random) && wants(request.metadata)) {
        new RequestCheck(compiled, request, said).begin();
        return 'stop';
      }
      disabled.value++;
      if (!config.denyAtDisable) return 'next';
      request.answer(config.statusOnError, '', 'UAEX', 'ext_authz_error');
      return 'stop';
    },
  };
}

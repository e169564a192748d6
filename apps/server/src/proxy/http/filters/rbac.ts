// envoy.filters.http.rbac: whether a request may go on. Rules that only cast a shadow are counted and change nothing.

import { compileRbac, type RbacDecision, type RbacSubject, withMetadata } from '@weft/mesh-core/traffic';
import type { JsonObject } from '@weft/mesh-core/wire';
import type { HttpFilter } from '../../config/model.ts';
import type { RbacFilterConfig } from '../../config/rbac-model.ts';
import type { Counter, Counters } from '../counters.ts';
import { SeenRequest } from '../policy/seen-headers.ts';
import type { FilteredRequest, RouteFilter } from './chain.ts';

const namespace = 'envoy.filters.http.rbac';

export interface RbacEngine {
  /** What shadow rules say of it, as metadata; undefined = there are none. */
  findings(subject: RbacSubject): JsonObject | undefined;
  /** Undefined = may go on. */
  refusal(subject: RbacSubject): RbacDecision | undefined;
}

/** `scope`: what the names of its counters begin with, `http.<stat prefix>.` or the filter's own. */
export function compileRbacEngine(config: RbacFilterConfig, scope: string, counters: Counters): RbacEngine {
  const { rules, shadow, statPrefix, shadowStatPrefix } = config;
  const enforced = rules === undefined ? undefined : counted(compileRbac(rules), counters, `${scope}rbac.${dotted(statPrefix)}`);
  const watched = shadow === undefined ? undefined : counted(compileRbac(shadow), counters, `${scope}rbac.${dotted(shadowStatPrefix)}shadow_`);
  const told = new Map<RbacDecision, JsonObject>();
  const tell = (decision: RbacDecision): JsonObject => {
    let found = told.get(decision);
    if (found === undefined) told.set(decision, (found = findingsOf(decision, shadowStatPrefix)));
    return found;
  };
  return {
    findings: (subject) => (watched === undefined ? undefined : tell(watched(subject))),
    refusal(subject) {
      const decision = enforced?.(subject);
      return decision?.allowed === false ? decision : undefined;
    },
  };
}

/** As Envoy calls them; other filters may look for them. */
function findingsOf({ allowed, policy }: RbacDecision, prefix: string): JsonObject {
  const result = { [`${prefix}shadow_engine_result`]: allowed ? 'allowed' : 'denied' };
  return policy === '' ? result : { ...result, [`${prefix}shadow_effective_policy_id`]: policy };
}

function dotted(prefix: string): string {
  return prefix === '' ? '' : `${prefix}.`;
}

function counted(decide: (subject: RbacSubject) => RbacDecision, counters: Counters, prefix: string): (subject: RbacSubject) => RbacDecision {
  const allowed: Counter = counters.of(`${prefix}allowed`);
  const denied: Counter = counters.of(`${prefix}denied`);
  return (subject) => {
    const decision = decide(subject);
    (decision.allowed ? allowed : denied).value++;
    return decision;
  };
}

/** Several filters of one name follow what a route says of that name, each of them (as in Envoy). */
export function rbacFilter({ name, config }: Extract<HttpFilter, { kind: 'rbac' }>, scope: string, counters: Counters): RouteFilter {
  const own = compileRbacEngine(config, scope, counters);
  const ofRoutes = new WeakMap<RbacFilterConfig, RbacEngine>();
  const seen = new SeenRequest();
  const engineFor = (request: FilteredRequest): RbacEngine | undefined => {
    const said = request.record.route?.filters.rbac?.[name];
    if (said === undefined) return own;
    if (said === 'off') return undefined;
    let engine = ofRoutes.get(said);
    if (engine === undefined) ofRoutes.set(said, (engine = compileRbacEngine(said, scope, counters)));
    return engine;
  };
  return {
    onRequest(request) {
      const engine = engineFor(request);
      if (engine === undefined) return 'next';
      const found = engine.findings(seen.of(request));
      if (found !== undefined) request.metadata = withMetadata(request.metadata, namespace, found);
      const refusal = engine.refusal(seen.of(request));
      if (refusal === undefined) return 'next';
      request.answer(403, 'RBAC: access denied', '', refusal.details);
      return 'stop';
    },
  };
}

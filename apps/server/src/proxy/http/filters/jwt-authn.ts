// envoy.filters.http.jwt_authn: who a request is from, by the tokens it brings. What they say goes into the request's metadata and
// headers; whoever brings none, or a bad one, where that is asked for, goes no further.

import { compileRouteMatch, type JwtFailure, jwtFailures, withMetadata } from '@weft/mesh-core/traffic';
import type { JwtAuthn } from '../../config/jwt-model.ts';
import type { Counters } from '../counters.ts';
import { compileProvider } from '../jwt/provider.ts';
import { TokenMemory } from '../jwt/token-memory.ts';
import { compileRequirement, type JwtRequest, type Verifier } from '../jwt/requirement.ts';
import { SeenRequest } from '../policy/seen-headers.ts';
import type { FilteredRequest, RouteFilter } from './chain.ts';

const namespace = 'envoy.filters.http.jwt_authn';
/** How much of a path a client is told. */
const maxRealmPath = 256;

/** `scope`: what the names of its counters begin with. @throws RegexError */
export function jwtAuthnFilter(config: JwtAuthn, scope: string, counters: Counters): RouteFilter {
  const memory = new TokenMemory();
  const providers = new Map([...config.providers].map(([name, provider]) => [name, compileProvider(provider, memory)]));
  const rules = config.rules.map(({ match, requirement }) => ({
    matches: compileRouteMatch(match),
    verify: requirement === undefined ? undefined : compileRequirement(requirement, providers),
  }));
  // What a client says there nobody has found good, whichever rule is its.
  const ours = [...config.providers.values()].flatMap(({ payloadHeader, claimHeaders }) => [payloadHeader, ...claimHeaders.map(({ header }) => header)]);
  const sanitized = new Set(ours.filter((name) => name !== ''));
  const [allowed, denied, bypassed] = ['allowed', 'denied', 'cors_preflight_bypassed'].map((name) => counters.of(`${scope}jwt_authn.${name}`));
  const seen = new SeenRequest();
  const verifierOf = (request: FilteredRequest): Verifier | undefined =>
    rules.find(({ matches }) => matches(seen.of(request), request.context.deps.random))?.verify;
  return {
    onRequest(request) {
      if (sanitized.size > 0) request.hideRequestHeaders(sanitized);
      const isPreflight = config.bypassCorsPreflight && preflight(request);
      if (isPreflight && bypassed !== undefined) bypassed.value++;
      const verify = isPreflight ? undefined : verifierOf(request);
      const path = (originalPath(request) ?? request.path).slice(0, maxRealmPath);
      const subject = newSubject(request, memory);
      const failure = verify?.(subject);
      if (failure !== undefined || subject.badHeader !== '') {
        if (denied !== undefined) denied.value++;
        if (failure === undefined) refuseHeader(request, subject.badHeader);
        else refuse(request, failure, path, config.stripFailureResponse);
        return 'stop';
      }
      if (allowed !== undefined) allowed.value++;
      if (subject.reroutes) request.chooseRouteAgain();
      return 'next';
    },
  };
}

function newSubject(request: FilteredRequest, memory: TokenMemory): JwtRequest {
  return {
    request,
    now: Math.floor((request.context.deps.timeOfDay?.() ?? Date.now()) / 1000),
    reroutes: false,
    badHeader: '',
    read: (text) => memory.read(text),
    addMetadata(fields) {
      request.metadata = withMetadata(request.metadata, namespace, fields);
    },
  };
}

/** At the edge nobody is believed who says so. */
function originalPath(request: FilteredRequest): string | undefined {
  return request.context.manager.useRemoteAddress ? undefined : request.get('x-envoy-original-path');
}

/** It brings no credentials. */
function preflight(request: FilteredRequest): boolean {
  return request.method === 'OPTIONS' && Boolean(request.get('origin')) && Boolean(request.get('access-control-request-method'));
}

function refuse(request: FilteredRequest, failure: JwtFailure, path: string, silent: boolean): void {
  const status = failure === jwtFailures.audience ? 403 : 401;
  const details = `jwt_authn_access_denied{${failure.text.replaceAll(' ', '_')}}`;
  if (silent) return request.answer(status, '', '', details);
  const error = failure === jwtFailures.missing ? '' : ', error="invalid_token"';
  const realm = `${request.scheme}://${request.authority}${path}`;
  request.answer(status, failure.text, '', details, `www-authenticate: Bearer realm="${realm}"${error}\r\n`);
}

/** A claim no header can hold, as Envoy says it when it is about to send one. */
function refuseHeader(request: FilteredRequest, name: string): void {
  const text = `invalid header value for: ${name}`;
  request.answer(503, text, 'DPE', `filter_removed_required_request_headers{${text.replaceAll(' ', '_')}}`);
}

// Cross-origin rules as Envoy's cors filter applies them.

import { compileStringMatch, type StringMatchSpec } from './string-match.ts';

export interface CorsSpec {
  allowOrigins: readonly StringMatchSpec[];
  allowMethods: string;
  allowHeaders: string;
  exposeHeaders: string;
  /** Seconds as text, '' = not sent. */
  maxAge: string;
  allowCredentials: boolean;
  allowPrivateNetwork: boolean;
  /** A preflight from an origin that is not allowed goes to the upstream (Envoy's default) instead of being answered without its origin. */
  forwardNotMatchingPreflights: boolean;
}

export interface CorsRequest {
  readonly method: string;
  get(name: string): string | undefined;
}

export type CorsDecision =
  /** Answer 200 with these headers. */
  | { kind: 'preflight'; headers: readonly (readonly [string, string])[] }
  /** Go on, and add these to the response. */
  | { kind: 'pass'; headers: readonly (readonly [string, string])[] };

const untouched: CorsDecision = { kind: 'pass', headers: [] };

/** @throws RegexError */
export function compileCors(spec: CorsSpec): (request: CorsRequest) => CorsDecision {
  const origins = spec.allowOrigins.map(compileStringMatch);
  // Whatever fits a star.
  const any = origins.some((fits) => fits('*'));
  return (request) => {
    const origin = request.get('origin');
    if (origin === undefined || origin === '') return untouched;
    const preflight = request.method === 'OPTIONS' && (request.get('access-control-request-method') ?? '') !== '';
    const allowed = any || origins.some((fits) => fits(origin));
    if (!allowed && (!preflight || spec.forwardNotMatchingPreflights)) return untouched;
    const headers: [string, string][] = allowed ? [['access-control-allow-origin', origin]] : [];
    if (spec.allowCredentials) headers.push(['access-control-allow-credentials', 'true']);
    if (preflight) {
      const asked = (name: string): string => request.get(`access-control-request-${name}`) ?? '';
      // Whatever is asked for: a browser that sends credentials takes * for a name.
      if (spec.allowMethods !== '') headers.push(['access-control-allow-methods', spec.allowMethods === '*' ? asked('method') : spec.allowMethods]);
      if (spec.allowHeaders !== '') headers.push(['access-control-allow-headers', spec.allowHeaders === '*' ? asked('headers') : spec.allowHeaders]);
      if (spec.maxAge !== '') headers.push(['access-control-max-age', spec.maxAge]);
      if (spec.allowPrivateNetwork && request.get('access-control-request-private-network') === 'true')
        headers.push(['access-control-allow-private-network', 'true']);
    }
    if (allowed && spec.exposeHeaders !== '') headers.push(['access-control-expose-headers', spec.exposeHeaders]);
    return { kind: preflight ? 'preflight' : 'pass', headers };
  };
}

// Where tokens are looked for in a request, in Envoy's order: headers by name and prefix, then parameters, then cookies by name.

import type { JwtProvider } from '../../config/jwt-model.ts';
import type { FilteredRequest } from '../filters/chain.ts';
import { firstParameter, withoutParameter } from './query.ts';

export interface FoundToken {
  text: string;
  /** Whether tokens of this issuer may stand where this one stood. */
  allows(issuer: string): boolean;
  /** Takes it out of the request. Cookies stay (as in Envoy). */
  remove(request: FilteredRequest): void;
}

type Finder = (request: FilteredRequest, found: FoundToken[]) => void;
type Issuers = (issuer: string) => boolean;

/** What all of these providers' tokens may stand in. */
export function compileLocations(providers: readonly JwtProvider[]): (request: FilteredRequest) => FoundToken[] {
  const headers = new Places<{ name: string; prefix: string }>();
  const params = new Places<string>();
  const cookies = new Places<string>();
  for (const { issuer, fromHeaders, fromParams, fromCookies } of providers) {
    const anywhere = fromHeaders.length + fromParams.length + fromCookies.length === 0;
    for (const header of anywhere ? [{ name: 'authorization', prefix: 'Bearer ' }] : fromHeaders) headers.add(header.name + header.prefix, header, issuer);
    for (const name of anywhere ? ['access_token'] : fromParams) params.add(name, name, issuer);
    for (const name of fromCookies) cookies.add(name, name, issuer);
  }
  const finders: Finder[] = [
    ...headers.sorted().map(([{ name, prefix }, allows]) => inHeader(name, prefix, allows)),
    ...params.sorted().map(([name, allows]) => inParameter(name, allows)),
    ...cookies.sorted().map(([name, allows]) => inCookie(name, allows)),
  ];
  return (request) => {
    const found: FoundToken[] = [];
    for (const find of finders) find(request, found);
    return found;
  };
}

/** Places by key, each with the issuers whose providers name it; '' stands for any. */
class Places<Place> {
  private readonly byKey = new Map<string, { place: Place; issuers: Set<string> }>();

  add(key: string, place: Place, issuer: string): void {
    const known = this.byKey.get(key);
    if (known === undefined) this.byKey.set(key, { place, issuers: new Set([issuer]) });
    else known.issuers.add(issuer);
  }

  sorted(): [Place, Issuers][] {
    const entries = [...this.byKey].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return entries.map(([, { place, issuers }]) => [place, (issuer) => issuers.has('') || issuers.has(issuer)]);
  }
}

function inHeader(name: string, prefix: string, allows: Issuers): Finder {
  const remove = (request: FilteredRequest): void => request.hideRequestHeaders(new Set([name]));
  return (request, found) => {
    const all = valuesOf(request, name);
    // Of this one header Envoy sees one value, whatever was sent.
    const values = name === 'authorization' && all.length > 1 ? [all.join(',')] : all;
    for (const value of values) {
      const text = prefix === '' ? value : behind(value, prefix);
      if (text !== undefined) found.push({ text, allows, remove });
    }
  };
}

/** From the first letter of a token on. */
function behind(value: string, prefix: string): string | undefined {
  const at = value.indexOf(prefix);
  if (at < 0) return undefined;
  const rest = value.slice(at + prefix.length);
  const start = rest.search(/[\w.-]/);
  return start < 0 ? value : rest.slice(start);
}

function inParameter(name: string, allows: Issuers): Finder {
  const remove = (request: FilteredRequest): void => request.setPath(withoutParameter(request.path, name));
  return (request, found) => {
    const text = firstParameter(request.path, name);
    if (text !== undefined) found.push({ text, allows, remove });
  };
}

function inCookie(name: string, allows: Issuers): Finder {
  const remove = (): void => undefined;
  return (request, found) => {
    for (const pair of valuesOf(request, 'cookie').flatMap((value) => value.split(';'))) {
      const equals = pair.indexOf('=');
      if (equals < 0 || pair.slice(0, equals).replace(/^ +/, '') !== name) continue;
      const value = pair.slice(equals + 1);
      found.push({ text: /^".*"$/.test(value) ? value.slice(1, -1) : value, allows, remove });
      return;
    }
  };
}

function valuesOf(request: FilteredRequest, name: string): string[] {
  const values: string[] = [];
  request.some(name, (value) => {
    values.push(value);
    return false;
  });
  return values;
}

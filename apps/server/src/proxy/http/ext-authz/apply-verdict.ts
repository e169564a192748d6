// What an authorization service wants changed of a request that may pass, and of its response.

import type { ResponseHead } from '../../../http-wire/codec-h1/response-head.ts';
import type { FilteredRequest } from '../filters/chain.ts';
import { SeenRequest } from '../policy/seen-headers.ts';
import { withParameters } from './query-parameters.ts';
import type { ResponseChange, Verdict } from './verdict.ts';

type Allowed = Extract<Verdict, { kind: 'ok' }>;

/** Heads are framed by this proxy alone. */
const framing: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive', 'proxy-connection', 'upgrade', 'te']);
const nameForm = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const valueForm = /^[\t\x20-\x7e\x80-\xff]*$/;
const pathForm = /^\/[\x21-\x7e\x80-\xff]*$/;
const authorityForm = /^[\x21-\x7e]+$/;

const seen = new SeenRequest();

/** Whether anything is changed a route may be chosen by. */
export function changesRequest({ set, append, remove, setParameters, removeParameters }: Allowed): boolean {
  return [set, append, remove, setParameters, removeParameters].some(({ length }) => length > 0);
}

/** Returns the name of a header that cannot be sent, '' = all is well. */
export function changeRequest(request: FilteredRequest, verdict: Allowed): string {
  for (const [name, value] of verdict.set) if (!setHeader(request, name, value)) return name;
  for (const [name, value] of verdict.add) if (!framing.has(name) && !addHeader(request, name, value)) return name;
  for (const [name, value] of verdict.append) {
    const before = seenValues(request, name);
    if (before.length > 0 && !setHeader(request, name, [...before, value].join(','))) return name;
  }
  const removed = verdict.remove.filter((name) => !name.startsWith(':') && name !== 'host' && !framing.has(name));
  if (removed.length > 0) request.hideRequestHeaders(new Set(removed));
  if (verdict.setParameters.length + verdict.removeParameters.length === 0) return '';
  return setPath(request, withParameters(request.path, verdict.setParameters, verdict.removeParameters)) ? '' : ':path';
}

function seenValues(request: FilteredRequest, name: string): string[] {
  return seen
    .of(request)
    .list()
    .flatMap(([one, value]) => (one === name ? [value] : []));
}

function setHeader(request: FilteredRequest, name: string, value: string): boolean {
  if (name === ':path') return setPath(request, value);
  if (name === ':authority' || name === 'host') {
    if (!authorityForm.test(value)) return false;
    request.setAuthority(value);
    return true;
  }
  if (framing.has(name)) return true;
  request.hideRequestHeaders(new Set([name]));
  return addHeader(request, name, value);
}

function addHeader(request: FilteredRequest, name: string, value: string): boolean {
  return nameForm.test(name) && request.appendRequestHeader(name, value);
}

function setPath(request: FilteredRequest, path: string): boolean {
  if (!pathForm.test(path)) return false;
  request.setPath(path);
  return true;
}

/** In Envoy's order: beside what is there, in place of it, and where there is none or one. `head`: the upstream's, if it is its answer. */
export function changeResponse(request: FilteredRequest, changes: readonly ResponseChange[], head: ResponseHead | undefined): void {
  const added = new Set<string>();
  const is = (name: string): boolean => added.has(name) || head?.fields.get(name) !== undefined;
  for (const action of ['add', 'set', 'add-if-absent', 'set-if-present'] as const)
    for (const { name, value } of changes.filter((change) => change.action === action)) {
      if (!nameForm.test(name) || !valueForm.test(value) || framing.has(name)) continue;
      if (action === 'add-if-absent' ? is(name) : action === 'set-if-present' && !is(name)) continue;
      if (action === 'set' || action === 'set-if-present') request.setResponseHeader(name, value);
      else request.addResponseHeader(name, value);
      added.add(name);
    }
}

/** Field lines of a refusal, and whether one of them says what its body is. */
export function refusalLines(headers: readonly (readonly [name: string, value: string])[]): { lines: string; type: string } {
  let lines = '';
  let type = '';
  for (const [name, value] of headers) {
    if (!nameForm.test(name) || !valueForm.test(value) || framing.has(name) || name === 'date' || name === 'server') continue;
    if (name === 'content-type') type = value;
    else lines += `${name}: ${value}\r\n`;
  }
  return { lines, type };
}

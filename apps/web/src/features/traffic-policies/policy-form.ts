// What the forms of a service's traffic show, read from its VirtualService and DestinationRule and written back into their text.

import type { FieldPath } from '@weft/mesh-core/config';
import { type Document, isMap, parseDocument } from 'yaml';

/** As typed; '' = not set. */
export interface PolicyForm {
  timeout: string;
  retryAttempts: string;
  retryTimeout: string;
  retryOn: string;
  delay: string;
  delayPercent: string;
  abort: string;
  abortPercent: string;
  mirror: string;
  mirrorPercent: string;
  headerName: string;
  headerValue: string;
  headerSubset: string;
  maxConnections: string;
  maxPending: string;
  ejectAfter: string;
  ejectInterval: string;
  ejectTime: string;
  balancer: string;
}
export type PolicyField = keyof PolicyForm;
interface Service {
  namespace: string;
  name: string;
}
interface Rule {
  name?: string;
  match?: unknown[];
}

/** Name of the rule the form keeps for requests with a header. */
const BY_HEADER = 'by-header';
const HEADER_FIELDS: readonly PolicyField[] = ['headerName', 'headerValue', 'headerSubset'];
const TRAFFIC = ['spec', 'trafficPolicy'] as const;
/** Below the rule that takes every request. */
const ROUTE_FIELDS: Partial<Record<PolicyField, FieldPath>> = {
  timeout: ['timeout'],
  retryAttempts: ['retries', 'attempts'],
  retryTimeout: ['retries', 'perTryTimeout'],
  retryOn: ['retries', 'retryOn'],
  delay: ['fault', 'delay', 'fixedDelay'],
  delayPercent: ['fault', 'delay', 'percentage', 'value'],
  abort: ['fault', 'abort', 'httpStatus'],
  abortPercent: ['fault', 'abort', 'percentage', 'value'],
  mirror: ['mirror', 'subset'],
  mirrorPercent: ['mirrorPercentage', 'value'],
};
/** Below spec.trafficPolicy of the DestinationRule. */
const RULE_FIELDS: Partial<Record<PolicyField, FieldPath>> = {
  maxConnections: ['connectionPool', 'tcp', 'maxConnections'],
  maxPending: ['connectionPool', 'http', 'http1MaxPendingRequests'],
  ejectAfter: ['outlierDetection', 'consecutive5xxErrors'],
  ejectInterval: ['outlierDetection', 'interval'],
  ejectTime: ['outlierDetection', 'baseEjectionTime'],
  balancer: ['loadBalancer', 'simple'],
};
/** Fields that mean nothing without another. */
const NEEDS: Partial<Record<PolicyField, PolicyField>> = {
  retryTimeout: 'retryAttempts',
  retryOn: 'retryAttempts',
  delayPercent: 'delay',
  abortPercent: 'abort',
  mirrorPercent: 'mirror',
};
const DEFAULTS: Partial<Record<PolicyField, string>> = { delayPercent: '100', abortPercent: '100', mirrorPercent: '100' };

export interface PolicyTexts {
  virtualService: string | undefined;
  destinationRule: string | undefined;
}

export function readPolicies(texts: PolicyTexts): PolicyForm {
  const vs = parseDocument(texts.virtualService ?? '');
  const dr = parseDocument(texts.destinationRule ?? '');
  const at = routeIndex(vs);
  const text = (document: Document, path: FieldPath): string => {
    const value: unknown = document.getIn(path);
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  const read = (document: Document, root: FieldPath, fields: Partial<Record<PolicyField, FieldPath>>): [string, string][] =>
    Object.entries(fields).map(([field, path]) => [field, text(document, [...root, ...path])]);
  const header = headerIndex(vs);
  const headers: unknown = header < 0 ? undefined : vs.getIn(['spec', 'http', header, 'match', 0, 'headers']);
  const headerName = isMap(headers) ? String(headers.items[0]?.key ?? '') : '';
  return Object.fromEntries([
    ...read(vs, ['spec', 'http', Math.max(0, at)], at < 0 ? {} : ROUTE_FIELDS),
    ...(at < 0 ? Object.keys(ROUTE_FIELDS).map((field) => [field, '']) : []),
    ...read(dr, TRAFFIC, RULE_FIELDS),
    ['headerName', headerName],
    ['headerValue', header < 0 ? '' : text(vs, ['spec', 'http', header, 'match', 0, 'headers', headerName, 'exact'])],
    ['headerSubset', header < 0 ? '' : text(vs, ['spec', 'http', header, 'route', 0, 'destination', 'subset'])],
  ]) as unknown as PolicyForm;
}

/** The texts with what the form changed against `before`; a missing object is made, what the form does not know stays as it is. */
export function writePolicies(texts: PolicyTexts, before: PolicyForm, form: PolicyForm, service: Service): PolicyTexts {
  const next = consistent(form);
  const changed = (field: string): boolean => next[field as PolicyField] !== before[field as PolicyField];
  return {
    virtualService: [...Object.keys(ROUTE_FIELDS), ...HEADER_FIELDS].some(changed)
      ? routesText(texts.virtualService, next, changed, service)
      : texts.virtualService,
    destinationRule: Object.keys(RULE_FIELDS).some(changed) ? ruleText(texts.destinationRule, next, changed, service) : texts.destinationRule,
  };
}

/** Without what means nothing alone, with the shares that Istio would want named. */
function consistent(form: PolicyForm): PolicyForm {
  const next = { ...form };
  for (const [field, needed] of Object.entries(NEEDS) as [PolicyField, PolicyField][]) {
    if (next[needed] === '') next[field] = '';
    else if (next[field] === '') next[field] = DEFAULTS[field] ?? '';
  }
  if (next.headerName === '' || next.headerSubset === '') Object.assign(next, { headerName: '', headerValue: '', headerSubset: '' });
  return next;
}

function routesText(text: string | undefined, form: PolicyForm, changed: (field: string) => boolean, { namespace, name }: Service): string {
  const document = parseDocument(
    text ?? `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\nspec:\n  hosts:\n    - ${name}\n`,
  );
  const root = ['spec', 'http', catchAllRule(document, name)];
  // A mirror is an object of its own: host and subset come and go together.
  if (changed('mirror')) {
    if (form.mirror === '') document.deleteIn([...root, 'mirror']);
    else document.setIn([...root, 'mirror'], document.createNode({ host: name, subset: form.mirror }));
  }
  for (const [field, path] of Object.entries(ROUTE_FIELDS))
    if (field !== 'mirror' && changed(field)) put(document, [...root, ...path], form[field as PolicyField], root.length);
  if (HEADER_FIELDS.some(changed)) putHeaderRule(document, form, name);
  return textOf(document, text);
}

/** Index of the first rule that takes every request, made where there is none. */
function catchAllRule(document: Document, name: string): number {
  const found = routeIndex(document);
  if (found >= 0) return found;
  const rule = { route: [{ destination: { host: name } }] };
  const at = rulesOf(document).length;
  if (at === 0) document.setIn(['spec', 'http'], document.createNode([rule]));
  else document.setIn(['spec', 'http', at], document.createNode(rule));
  return at;
}

/** The form's rule for requests with a header: made, changed, or taken away. */
function putHeaderRule(document: Document, form: PolicyForm, name: string): void {
  const old = headerIndex(document);
  if (form.headerName === '') return void document.deleteIn(['spec', 'http', old]);
  const rule = document.createNode({
    name: BY_HEADER,
    match: [{ headers: { [form.headerName]: { exact: form.headerValue } } }],
    route: [{ destination: { host: name, subset: form.headerSubset } }],
  });
  if (old >= 0) document.setIn(['spec', 'http', old], rule);
  // The first rule that matches counts.
  else (document.getIn(['spec', 'http']) as { items: unknown[] }).items.unshift(rule);
}

function ruleText(text: string | undefined, form: PolicyForm, changed: (field: string) => boolean, { namespace, name }: Service): string {
  const document = parseDocument(
    text ?? `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\nspec:\n  host: ${name}\n`,
  );
  for (const [field, path] of Object.entries(RULE_FIELDS)) if (changed(field)) put(document, [...TRAFFIC, ...path], form[field as PolicyField], 1);
  return textOf(document, text);
}

/** Sets a field, or takes it away with the objects that are empty then; those at the first `kept` steps of its path stay. */
function put(document: Document, path: FieldPath, typed: string, kept: number): void {
  if (typed !== '') {
    document.setIn(path, /^\d+(\.\d+)?$/.test(typed) ? Number(typed) : typed);
    return;
  }
  if (!document.hasIn(path)) return;
  document.deleteIn(path);
  for (let length = path.length - 1; length > kept; length--) {
    const parent: unknown = document.getIn(path.slice(0, length));
    if (!isMap(parent) || parent.items.length > 0) break;
    document.deleteIn(path.slice(0, length));
  }
}

function textOf(document: Document, before: string | undefined): string {
  const text = document.toString({ lineWidth: 0, flowCollectionPadding: before === undefined || /\{ /.test(before) });
  // One option is for lists and maps; lists that stood without blanks stay so.
  return text.replaceAll(/\[ ([^[\]\n]*) \]/g, (padded, inner: string) => (before?.includes(`[${inner}]`) === true ? `[${inner}]` : padded));
}

function rulesOf(document: Document): Rule[] {
  const http: unknown = (document.toJS() as { spec?: { http?: unknown } } | null)?.spec?.http;
  return Array.isArray(http) ? (http as Rule[]) : [];
}
/** The first rule that takes every request; -1 = none. */
function routeIndex(document: Document): number {
  return rulesOf(document).findIndex((r) => (r.match ?? []).length === 0 || JSON.stringify(r.match) === '[{"uri":{"prefix":"/"}}]');
}
function headerIndex(document: Document): number {
  return rulesOf(document).findIndex((r) => r.name === BY_HEADER);
}

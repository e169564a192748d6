// What the forms of a service's traffic show, read from its VirtualService and DestinationRule and written back into their text.

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
type Path = readonly (string | number)[];
interface Rule {
  name?: string;
  match?: unknown[];
}

/** Name of the rule the form keeps for requests with a header. */
const BY_HEADER = 'by-header';
const TRAFFIC = ['spec', 'trafficPolicy'] as const;
/** Below the rule that takes every request. */
const ROUTE_FIELDS: Partial<Record<PolicyField, Path>> = {
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
const RULE_FIELDS: Partial<Record<PolicyField, Path>> = {
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
  const text = (document: Document, path: Path): string => {
    const value: unknown = document.getIn(path);
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  const read = (document: Document, root: Path, fields: Partial<Record<PolicyField, Path>>): [string, string][] =>
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
export function writePolicies(texts: PolicyTexts, before: PolicyForm, form: PolicyForm, service: { namespace: string; name: string }): PolicyTexts {
  const next = consistent(form);
  const changed = (field: string): boolean => next[field as PolicyField] !== before[field as PolicyField];
  const route = Object.keys(ROUTE_FIELDS).some(changed);
  const header = ['headerName', 'headerValue', 'headerSubset'].some(changed);
  return {
    virtualService: route || header ? routesText(texts.virtualService, next, changed, header, service) : texts.virtualService,
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

function routesText(
  text: string | undefined,
  form: PolicyForm,
  changed: (field: string) => boolean,
  header: boolean,
  { namespace, name }: { namespace: string; name: string },
): string {
  const document = parseDocument(
    text ?? `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\nspec:\n  hosts:\n    - ${name}\n`,
  );
  let at = routeIndex(document);
  if (at < 0) {
    at = rulesOf(document).length;
    document.setIn(['spec', 'http', at], document.createNode({ route: [{ destination: { host: name } }] }));
    if (at === 0) document.setIn(['spec', 'http'], document.createNode([{ route: [{ destination: { host: name } }] }]));
  }
  const root = ['spec', 'http', at];
  // A mirror is an object of its own: host and subset come and go together.
  if (changed('mirror')) {
    if (form.mirror === '') document.deleteIn([...root, 'mirror']);
    else document.setIn([...root, 'mirror'], document.createNode({ host: name, subset: form.mirror }));
  }
  for (const [field, path] of Object.entries(ROUTE_FIELDS)) if (field !== 'mirror' && changed(field)) put(document, root, path, form[field as PolicyField]);
  if (header) {
    const old = headerIndex(document);
    const rule = {
      name: BY_HEADER,
      match: [{ headers: { [form.headerName]: { exact: form.headerValue } } }],
      route: [{ destination: { host: name, subset: form.headerSubset } }],
    };
    const http: unknown = document.getIn(['spec', 'http']);
    if (form.headerName === '') document.deleteIn(['spec', 'http', old]);
    else if (old >= 0) document.setIn(['spec', 'http', old], document.createNode(rule));
    // The first rule that matches counts.
    else (http as { items: unknown[] }).items.unshift(document.createNode(rule));
  }
  return textOf(document, text);
}

function ruleText(
  text: string | undefined,
  form: PolicyForm,
  changed: (field: string) => boolean,
  { namespace, name }: { namespace: string; name: string },
): string {
  const document = parseDocument(
    text ?? `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\nspec:\n  host: ${name}\n`,
  );
  for (const [field, path] of Object.entries(RULE_FIELDS)) if (changed(field)) put(document, TRAFFIC, path, form[field as PolicyField]);
  return textOf(document, text);
}

/** Sets a field, or takes it away with the objects that are empty then. */
function put(document: Document, root: Path, path: Path, typed: string): void {
  const full = [...root, ...path];
  if (typed !== '') {
    document.setIn(full, /^\d+(\.\d+)?$/.test(typed) ? Number(typed) : typed);
    return;
  }
  if (!document.hasIn(full)) return;
  document.deleteIn(full);
  for (let length = full.length - 1; length > root.length - (root === TRAFFIC ? 1 : 0); length--) {
    const parent: unknown = document.getIn(full.slice(0, length));
    if (!isMap(parent) || parent.items.length > 0) break;
    document.deleteIn(full.slice(0, length));
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

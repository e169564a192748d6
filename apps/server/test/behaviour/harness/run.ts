// Runs one case on one data plane: steps in order over real sockets, expectations, what was seen in a form two planes can be compared in.

import { randomUUID } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';
import { type AdminStep, type Case, type ClientTls, type HttpStep, type Plane, type Seen, type SpreadStep, type Step, namespaceOf } from '../case.ts';
import type { Arrival } from './apps.ts';
import { sendGrpc, sendHttp, sendRaw, sendWebSocket, type Target } from './clients.ts';
import type { Certificates } from './certificates.ts';
import { type Expected, mismatches } from './match.ts';
import { type SuiteMesh, refusalsOf } from './mesh.ts';
import { portsOf, yamlObjects } from './objects.ts';

export interface Outcome {
  plane: Plane;
  /** Why it failed; empty = passed. */
  problems: string[];
  /** What each step saw, without what differs from run to run. */
  seen: unknown[];
  requestIds: ReadonlySet<string>;
  /** By request id, what is reported of it at least: by the client's proxy, and by those that have passed it on with their certificate. */
  due: ReadonlyMap<string, { lines: number; spans: number }>;
  /** Connections that passed as TCP. */
  connections: number;
  /** What the case's own client has logged. */
  ownLines?: () => string[];
}

type Sendable = Exclude<Step, { kind: 'apply' | 'remove' | 'until' | 'arrivals' | 'status' | 'spread' | 'admin' }>;

const BECOMES_WITHIN_MS = 40_000;

/** `client` is the plane that asks, `server` the one whose services are asked; `portOf` a listener of a client of the case's own. */
export async function runSteps(behaviour: Case, client: Plane, server: Plane, mesh: SuiteMesh, portOf?: (listener: string) => number): Promise<Outcome> {
  const problems: string[] = [];
  const requestIds = new Set<string>();
  const saved = new Map<string, string>();
  const seen: unknown[] = [];
  const running: Promise<void>[] = [];
  const keys: string[] = [];
  saved.set('plane', server);
  for (const app of ['a', 'b', 'c', 'd']) saved.set(`port_${app}`, String(mesh.layout.appPort(app)));
  const answered: string[] = [];
  const due = new Map<string, () => { lines: number; spans: number }>();
  let connections = 0;
  const send = async (step: Sendable): Promise<Seen> => {
    const target = targetOf(behaviour, step, client, server, mesh, portOf);
    // As long on one data plane as on the other.
    target.key = `${client.slice(0, 2)}-${server.slice(0, 2)}-${randomUUID()}`;
    keys.push(target.key);
    requestIds.add(target.requestId);
    if (step.kind === 'http' && step.aborts === true) {
      const controller = new AbortController();
      target.signal = controller.signal;
      void becomes(() => mesh.apps.arrived(target.key).length > 0).then(() => controller.abort());
    }
    const ask = (): Promise<Seen> => sendOne(withSaved(step, saved), target);
    const result = await (mismatches('refused', refusalExpected(step)).length === 0 ? ask() : untilAccepted(ask));
    answered.push(target.key);
    // A gateway gives requests an id of its own.
    const id = result.upstream?.headers['x-request-id'];
    if (id !== undefined) requestIds.add(id);
    const { key, requestId, service } = target;
    const { appProtocol, name } = (service === undefined ? undefined : portsOf(service)[0]) ?? { name: '' };
    // Gateways change the id, or let nobody in; one client has a log filter of its own.
    if (step.at !== undefined || step.from === 'told') return result;
    if (/^(tcp|tls|https)/.test(appProtocol ?? name)) connections += 1;
    else if (result.status !== undefined) due.set(requestId, () => reportsOf(mesh.apps.arrived(key)));
    return result;
  };
  let before: readonly string[] = [];
  const askByKey = async (step: SpreadStep): Promise<unknown> => {
    const { chosen, moved } = await spreadOver(step, before, send);
    before = chosen;
    return { chosen: chosen.join(' '), moved };
  };
  const judge = (step: Step, i: number, result: unknown): void => {
    seen[i] = result;
    const wanted = [step.expect ?? {}, ('on' in step ? step.on?.[client] : undefined) ?? {}];
    problems.push(...wanted.flatMap((w) => mismatches(result, w)).map((p) => `step ${i + 1}: ${p}`));
  };
  for (const [i, step] of behaviour.steps.entries()) {
    if (step.kind === 'apply' || step.kind === 'remove') {
      const objects = yamlObjects(step.objects, server, mesh.layout);
      const refusals = await (step.kind === 'apply' ? mesh.put(objects) : mesh.remove(objects));
      problems.push(
        ...refusalsOf(
          refusals,
          (behaviour.services ?? []).map((s) => `${s.name}.${namespaceOf(server)}`),
        ),
      );
    } else if (step.kind === 'until') {
      const deadline = performance.now() + BECOMES_WITHIN_MS;
      const inner = step.step;
      const ask = (): Promise<unknown> =>
        inner.kind === 'admin'
          ? askAdmin(inner, mesh.layout.adminPort(client, inner.workload))
          : inner.kind === 'spread'
            ? askByKey(inner)
            : inner.times === undefined
              ? once(inner, send, saved)
              : repeat(inner, send);
      let result = await ask();
      while (mismatches(result, step.expect).length > 0 && performance.now() < deadline) result = await ask();
      judge(step, i, result);
    } else if (step.kind === 'status') {
      judge(step, i, comparable(mesh.status(step.workload, namespaceOf(client))));
    } else if (step.kind === 'admin') {
      judge(step, i, await askAdmin(step, mesh.layout.adminPort(client, step.workload)));
    } else if (step.kind === 'spread') {
      judge(step, i, await askByKey(step));
    } else if (step.kind === 'arrivals') {
      const deadline = performance.now() + BECOMES_WITHIN_MS / 3;
      const look = (): unknown =>
        step.counts === true ? countsOf(keys.flatMap((key) => mesh.apps.arrived(key))) : comparable(mesh.apps.arrived(keys.at(-1) ?? ''));
      while (mismatches(look(), step.expect).length > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
      judge(step, i, look());
    } else {
      let ended = 0;
      const counted = async (s: Sendable): Promise<Seen> => {
        const result = await send(s);
        ended += 1;
        return result;
      };
      const work = async (): Promise<void> => judge(step, i, step.times === undefined ? await once(step, counted, saved) : await repeat(step, counted));
      if (step.background === undefined) {
        await work();
        continue;
      }
      const before = keys.length;
      const background = work();
      running.push(background);
      const arrived = (): number => keys.slice(before).filter((key) => mesh.apps.arrived(key).length > 0).length;
      const enough = (): boolean => (typeof step.background === 'number' ? ended >= step.background : arrived() >= (step.times ?? 1));
      await Promise.race([background, becomes(enough)]);
    }
  }
  // What proxies have given up they tell the application: it must not answer before that has reached it.
  await becomes(() => answered.every((key) => mesh.apps.holding(key) === 0));
  for (const key of keys) mesh.apps.release(key);
  await Promise.all(running);
  return { plane: client, problems, seen, requestIds, connections, due: new Map([...due].map(([id, reports]) => [id, reports()])) };
}

function countsOf(arrivals: readonly Arrival[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { app } of arrivals) counts[app] = (counts[app] ?? 0) + 1;
  return counts;
}

function reportsOf(arrivals: readonly Arrival[]): { lines: number; spans: number } {
  const passed = arrivals.filter(({ headers }) => headers['x-forwarded-client-cert']?.startsWith('By=') === true);
  const recorded = ({ headers }: Arrival): boolean => headers['traceparent']?.endsWith('-00') !== true;
  const own = arrivals.length === 0 || arrivals.some(recorded) ? 1 : 0;
  return { lines: 1 + passed.length, spans: own + passed.filter(recorded).length };
}

async function once(step: Sendable, send: (step: Sendable) => Promise<Seen>, saved: Map<string, string>): Promise<unknown> {
  const result = await send(step);
  for (const [name, take] of Object.entries(step.save ?? {})) saved.set(name, take(result));
  return comparable(result);
}

async function repeat(step: Sendable, send: (step: Sendable) => Promise<Seen>): Promise<unknown> {
  const { times = 1, parallel = 1, gapMs, ...rest } = step;
  const total = { statuses: {} as Record<string, number>, apps: {} as Record<string, number> };
  const connections = new Set<number | undefined>();
  let sampled = 0;
  let slowestMs = 0;
  let left = times;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const start = performance.now();
      const result = await send(rest);
      slowestMs = Math.max(slowestMs, performance.now() - start);
      connections.add(result.connection);
      if (result.upstream?.headers['traceparent']?.endsWith('-01') === true) sampled += 1;
      if (gapMs !== undefined && left > 0) await new Promise((resolve) => setTimeout(resolve, gapMs));
      const status = String(result.status ?? result.failed ?? (result.text === undefined ? 'none' : 'answered'));
      const app = result.app ?? /^(\w+):/.exec(result.text ?? '')?.[1] ?? 'none';
      total.statuses[status] = (total.statuses[status] ?? 0) + 1;
      total.apps[app] = (total.apps[app] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  // The same on both data planes only where the case says so.
  const measured = { connections: connections.size, slowestMs, sampled };
  const expected = Object.entries(measured).filter(([name]) => typeof rest.expect === 'object' && rest.expect !== null && name in rest.expect);
  return { ...total, distinct: Object.keys(total.apps).length, ...Object.fromEntries(expected) };
}

async function spreadOver(
  { step, keys }: SpreadStep,
  before: readonly string[],
  send: (step: HttpStep) => Promise<Seen>,
): Promise<{ chosen: string[]; moved: Record<string, number> }> {
  const chosen: string[] = [];
  const moved: Record<string, number> = {};
  for (let i = 0; i < keys; i += 1) {
    const keyed = JSON.parse(JSON.stringify({ path: step.path, headers: step.headers ?? {} }).replaceAll('$key', `key-${i}`)) as Partial<HttpStep>;
    const { app = 'none' } = await send({ ...step, ...keyed });
    const last = before[i];
    if (last !== undefined && last !== app) moved[last] = (moved[last] ?? 0) + 1;
    chosen.push(app);
  }
  return { chosen, moved };
}

function sendOne(step: Sendable, target: Target): Promise<Seen> {
  switch (step.kind) {
    case 'http':
      return sendHttp(step, target);
    case 'grpc':
      return sendGrpc(step, target);
    case 'raw':
      return sendRaw(step, target);
    case 'websocket':
      return sendWebSocket(step, target);
  }
}

function refusalExpected({ expect }: Sendable): Expected {
  return typeof expect === 'object' && expect !== null && 'failed' in expect ? expect.failed : null;
}

async function askAdmin({ path, method }: AdminStep, port: number): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: method ?? 'GET' });
  const text = await response.text();
  const seen = { status: response.status, type: response.headers.get('content-type') };
  return text.startsWith('{') ? { ...seen, paths: [...pathsOf(JSON.parse(text))].toSorted() } : { ...seen, body: neutral(text) };
}

/** Of every key in it, lists gone through. */
function pathsOf(value: unknown, path = ''): Set<string> {
  if (typeof value !== 'object' || value === null) return new Set([path]);
  if (Array.isArray(value)) return new Set([path, ...value.flatMap((item) => [...pathsOf(item, path)])]);
  return new Set([path, ...Object.entries(value).flatMap(([key, v]) => [...pathsOf(v, path === '' ? key : `${path}.${key}`)])]);
}

/** A listener is bound a moment after its proxy has acknowledged it. */
async function untilAccepted(send: () => Promise<Seen>): Promise<Seen> {
  const deadline = performance.now() + BECOMES_WITHIN_MS;
  for (;;) {
    const result = await send();
    if (result.failed !== 'refused' || performance.now() > deadline) return result;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function becomes(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + BECOMES_WITHIN_MS;
  while (!condition() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
}

function targetOf(behaviour: Case, step: Sendable, client: Plane, server: Plane, mesh: SuiteMesh, portOf: ((listener: string) => number) | undefined): Target {
  const { layout } = mesh;
  const [name = '', portText] = (step.to?.replaceAll('$NS', namespaceOf(server)) ?? behaviour.services?.[0]?.name ?? 'observed').split(':');
  const service = behaviour.services?.find((s) => s.name === name);
  const number = portText === undefined ? (service === undefined ? 8080 : (portsOf(service)[0]?.number ?? 80)) : Number(portText);
  // Names of the outside are whole.
  const host = name.includes('.') ? name : `${name}.${namespaceOf(server)}.svc.cluster.local`;
  const base = { key: '', requestId: randomUUID(), service, ...(step.tls === undefined ? {} : { tls: tlsTo(step.tls, server, layout.certificates) }) };
  if (step.at !== undefined) return { ...base, port: layout.openedPort(client, step.at), host: 'gateway.example.com' };
  if (step.from === 'http-proxy') return { ...base, port: layout.proxyPort(client), host: `${host}:${number}` };
  const port = portOf?.(`${host}_${number}`) ?? layout.upstreamPort(client, step.from ?? 'client', host, number);
  return { ...base, port, host: `127.0.0.1:${port}` };
}

/** Looks at certificates instead of refusing them. */
function tlsTo({ sni, alpn, as, ...limits }: ClientTls, server: Plane, certificates: Certificates): ConnectionOptions {
  return {
    ...{ servername: sni.replace('$NS', namespaceOf(server)), rejectUnauthorized: false },
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    ...(as === undefined ? {} : { cert: certificates.text(`${as}.pem`), key: certificates.text(`${as}.key`) }),
    ...limits,
  };
}

function withSaved<S extends Sendable>(step: S, saved: ReadonlyMap<string, string>): S {
  if (saved.size === 0 || step.kind !== 'http' || step.headers === undefined) return step;
  const fill = (text: string): string => text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => saved.get(name) ?? '');
  const headers: HttpStep['headers'] = Object.fromEntries(
    Object.entries(step.headers).map(([name, value]) => [name, typeof value === 'string' ? fill(value) : value]),
  );
  return { ...step, headers };
}

const VOLATILE: Readonly<Record<string, [part: RegExp, instead: string]>> = {
  date: [/.*/s, '<date>'],
  // The digit that tells the decision to sample; of other ids it is 4.
  'x-request-id': [/^[0-9a-f]{8}-[0-9a-f]{4}-(.)[0-9a-f]{3}-.*$/s, '<id $1>'],
  'x-key': [/.*/s, '<key>'],
  'x-envoy-upstream-service-time': [/.*/s, '<ms>'],
  'x-ratelimit-reset': [/.*/s, '<s>'],
  'sec-websocket-key': [/.*/s, '<key>'],
  // Of a gateway, or of a mirrored request: an address of the machine.
  'x-forwarded-for': [/[\d.]+$/, '<address>'],
  'x-b3-traceid': [/.*/s, '<trace>'],
  'x-b3-spanid': [/.*/s, '<span>'],
  'x-b3-parentspanid': [/.*/s, '<span>'],
};

/** An echo is as long as the names in it; Envoy's tracer writes `tracestate` even with nothing in it. */
const IGNORED = (key: string, value: unknown, of: object): boolean =>
  (key === 'content-length' && 'content-type' in of && of['content-type'] === 'application/json') || (key === 'tracestate' && value === '');

/** The same things in both planes' words: no namespace, port, id, time. */
export function comparable(value: unknown): unknown {
  if (typeof value === 'string') return /^HTTP\/1\.[01] \d{3} /.test(value) ? httpText(neutral(value)) : neutral(value);
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, v]) => key !== 'connection' || typeof v !== 'number')
      .filter(([key, v]) => !IGNORED(key, v, value))
      .map(([key, v]) => {
        const volatile = VOLATILE[key.toLowerCase()];
        return [key, typeof v === 'string' && volatile !== undefined ? v.replace(...volatile) : comparable(v)];
      }),
  );
}

/** Answers of HTTP/1 as they came: order and case of their fields are the proxy's own business, and so is the length of an echo. */
function httpText(text: string): string {
  return text
    .split(/(?=HTTP\/1\.[01] \d{3} )/)
    .map((answer) => {
      const [head = '', ...body] = answer.split('\r\n\r\n');
      const [status = '', ...fields] = head.split('\r\n');
      // How a stream is cut into chunks depends on the moment.
      const whole = body.join('\r\n\r\n');
      const rest = fields.some((line) => /^transfer-encoding: chunked/i.test(line)) ? whole.replaceAll(/(^|\r\n)[0-9a-f]+\r\n/g, '') : whole;
      const echo = rest.startsWith('{"app":');
      const lines = fields.map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase())).filter((line) => !echo || !line.startsWith('content-length:'));
      return [status, ...lines.toSorted(), '', echo ? JSON.stringify(sorted(comparable(JSON.parse(rest)))) : rest].join('\r\n');
    })
    .join('');
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, v]) => [key, sorted(v)]),
  );
}

export function neutral(text: string): string {
  return (
    text
      .replaceAll(/\b\d{1,3}(\.\d{1,3}){3}:\d+/g, '<local>')
      // Ports of a case's own, in names of operations and clusters.
      .replaceAll(/([:|])1\d{4}(?=\/\*|\|)/g, '$1<port>')
      .replaceAll(/(remote_connection_failure)\|[^}]*/g, '$1')
      .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<id>')
      .replaceAll(/00-[0-9a-f]{32}-[0-9a-f]{16}-/g, '00-<trace>-')
      .replaceAll(/Hash=[0-9a-f]{64}/g, 'Hash=<hash>')
      .replaceAll(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT/g, '<date>')
      .replaceAll(/(x-envoy-upstream-service-time: )\d+/g, '$1<ms>')
      .replaceAll(/\bof-(embedded|envoy)\b/g, '<ns>')
      .replaceAll(/\bother-(embedded|envoy)\b/g, '<other>')
  );
}

// One request asked on both data planes, and what of it they may tell differently.

import { randomUUID } from 'node:crypto';
import type { RunningPlane } from '../../planes/planes.ts';
import type { Apps } from '../harness/apps.ts';
import { sendGrpc, sendHttp } from '../harness/clients.ts';
import { differences } from '../harness/match.ts';
import { comparable } from '../harness/run.ts';
import { OTHER_ISSUER, token } from '../harness/tokens.ts';
import type { Question } from './questions.ts';

export interface Side extends RunningPlane {
  /** Some of its requests are sent to others too. */
  readonly mirrored: boolean;
}

const TOKENS = {
  good: token(),
  other: token({ iss: OTHER_ISSUER, sub: 'bob', aud: ['other'] }),
  expired: token({ exp: 1_000 }),
  stranger: token({}, { stranger: true }),
};

/** How often both are asked once more, before they are said to differ. */
const AGAIN = [6, 16, 60];

/**
 * Keys of the two requests, or how their answers differ. Weights and missing hash keys leave it to chance who answers, and a stall
 * may cut a request short: then all answers of many are compared.
 */
export async function compare(q: Question, sides: readonly [Side, Side], apps: Apps): Promise<{ keys: string[] } | { problem: string }> {
  const answers = (times: number): Promise<Answered[][]> =>
    Promise.all(sides.map((side) => Promise.all(Array.from({ length: times }, () => ask(q, side, apps, times > 1)))));
  const [[left], [right]] = (await answers(1)) as [[Answered], [Answered]];
  if (left.text === right.text) return { keys: [left.key, right.key] };
  let seen: [Answered | undefined, Answered | undefined] = [left, right];
  for (const times of AGAIN) {
    const [ours, theirs] = (await answers(times)) as [Answered[], Answered[]];
    const only = (mine: readonly Answered[], others: readonly Answered[]): Answered | undefined =>
      mine.find(({ text }) => others.every((o) => o.text !== text));
    seen = [only(ours, theirs), only(theirs, ours)];
    if (seen[0] === undefined && seen[1] === undefined) return { keys: [] };
  }
  return { problem: differences((seen[0] ?? left).seen, (seen[1] ?? right).seen).join('\n') };
}

interface Answered {
  key: string;
  seen: unknown;
  text: string;
}

async function ask(q: Question, side: Side, apps: Apps, patient: boolean): Promise<Answered> {
  const key = randomUUID();
  const step = JSON.parse(JSON.stringify(q.step).replaceAll(/\$TOKEN\((\w+)\)/g, (_, kind: keyof typeof TOKENS) => TOKENS[kind])) as Question['step'];
  const target = { port: side.port(q.to), host: q.host, key, requestId: randomUUID(), service: undefined };
  const seen = await (step.kind === 'grpc' ? sendGrpc(step, target) : sendHttp(step, target));
  // What goes to a mirror is waited for by nobody.
  if (side.mirrored) await new Promise((resolve) => setTimeout(resolve, patient ? 200 : 40));
  const order = ({ headers }: { headers: Record<string, string> }): string => `${headers['x-envoy-internal']} ${headers['x-envoy-attempt-count']}`;
  // Whom each try asks may be chance; the answer says who gave it.
  const arrivals = apps.arrived(key).map(({ method, path, headers }) => ({ method, path, headers }));
  arrivals.sort((a, b) => order(a).localeCompare(order(b)));
  const whole = meant(comparable({ ...seen, arrivals })) as { headers?: Record<string, string> };
  // An echo is as long as the names in it.
  if (arrivals.length > 0) delete whole.headers?.['content-length'];
  return { key, seen: whole, text: JSON.stringify(whole) };
}

/** Without what is meant to differ, keys in order. */
export function meant(of: unknown, name = ''): unknown {
  if (typeof of === 'string') return text(of, name);
  if (Array.isArray(of)) return of.map((item) => meant(item));
  if (typeof of !== 'object' || of === null) return of;
  const entries = Object.entries(of).map(([key, value]) => [key, meant(value, key)] as const);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function text(of: string, name: string): string {
  // Envoy gives a cookie once for each try.
  if (name === 'set-cookie') return [...new Set(of.replaceAll(/^a="[0-9a-f]+"/gm, 'a=<made>').split('\n'))].join('\n');
  // Of several values of one field Envoy makes one where it knows the field well.
  const joined = of.replaceAll(', ', ',').replace(/("grpc-timeout":")(1\d{4}|[12]?\d{1,2})m/, '$1<rest>');
  // What is left of 300 ms, or of 20 s, when a further try begins.
  if (name === 'x-envoy-expected-rq-timeout-ms' && /^(1\d{4}|[12]?\d{1,2})$/.test(of)) return '<rest>';
  if (name.startsWith('grpc') && /^(1\d{4}|[12]?\d{1,2})m$/.test(of)) return '<rest>';
  // For a client on loopback it writes an address of its machine.
  return name === 'x-forwarded-for' ? joined.replaceAll(/127\.0\.0\.1|192\.0\.2\.2/g, '<address>') : joined;
}

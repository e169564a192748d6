// Any client against the stream machines: requests, answers (also late, wrong or refusing ones) and edits in any order. What the
// client holds in the end, once it has answered everything, must be what it asked for of the newest snapshot.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AdsStream } from './ads-stream.ts';
import type { Dialect } from './ads-stream.ts';
import { hasWildcard } from './subscription.ts';
import type { XdsResponse } from './subscription.ts';
import { TYPE_URL } from './resource.ts';
import { request, snapshot } from './testing/requests.ts';
import type { Short } from './testing/requests.ts';

const TYPES: Short[] = ['cluster', 'endpoint', 'listener', 'route', 'secret'];
const NAMES = ['a', 'b', 'c'];

/** A client that takes what it is sent literally, as Envoy does. */
class ModelClient {
  readonly holds = new Map<Short, Map<string, string>>(TYPES.map((type) => [type, new Map()]));
  readonly wants = new Map<Short, Set<string> | 'all'>();
  readonly #unanswered: XdsResponse[] = [];
  readonly #lastNonce = new Map<Short, string>();
  #stream: AdsStream;
  readonly #dialect: Dialect;
  responses = 0;

  constructor(dialect: Dialect, stream: AdsStream) {
    this.#dialect = dialect;
    this.#stream = stream;
  }

  get waiting(): number {
    return this.#unanswered.length;
  }

  take(responses: readonly XdsResponse[]): void {
    for (const response of responses) {
      this.responses += 1;
      const names = response.resources.map((r) => r.name);
      expect(new Set([...names, ...response.removed]).size).toBe(names.length + response.removed.length);
      // One answer at a time and type.
      expect(this.#unanswered.some((r) => r.typeUrl === response.typeUrl)).toBe(false);
      this.#unanswered.push(response);
    }
  }

  /** Answers the oldest response; a refused one leaves what is held. */
  answer(asked: boolean): void {
    const response = this.#unanswered.shift();
    if (response === undefined) return;
    // There is nothing to refuse in a removal.
    const accept = asked || response.resources.length === 0;
    const short = TYPES.find((type) => TYPE_URL[type] === response.typeUrl) ?? 'cluster';
    const held = this.holds.get(short) ?? new Map<string, string>();
    if (accept) {
      if (this.#dialect === 'sotw' && hasWildcard(response.typeUrl)) held.clear();
      // What came too late to be wanted is ignored.
      const wanted = this.wants.get(short);
      for (const { name, version } of response.resources) if (wanted === 'all' || wanted?.has(name) === true) held.set(name, version);
      for (const name of response.removed) held.delete(name);
    }
    this.#lastNonce.set(short, response.nonce);
    this.#send(short, { nonce: response.nonce, ...(accept ? {} : { error: 'no' }) });
  }

  /** Changes what is wanted of a type: all of it, or these names. */
  subscribe(short: Short, names: readonly string[] | 'all'): void {
    const all = names === 'all';
    if (all && !hasWildcard(TYPE_URL[short])) return;
    const before = this.wants.get(short);
    if (this.#dialect === 'delta' && before === 'all') return;
    const wanted = all ? 'all' : new Set([...(this.#dialect === 'delta' && before instanceof Set ? before : []), ...names]);
    // In SotW an empty list is a wildcard at first, and nothing later.
    if (!all && wanted !== 'all' && wanted.size === 0) return;
    this.wants.set(short, wanted);
    this.#send(short, { nonce: this.#dialect === 'sotw' ? (this.#lastNonce.get(short) ?? '') : '', subscribe: all ? ['*'] : names });
    const held = this.holds.get(short);
    if (this.#dialect === 'sotw' && wanted !== 'all') for (const name of held?.keys() ?? []) if (!wanted.has(name)) held?.delete(name);
  }

  unsubscribe(short: Short, name: string): void {
    const wanted = this.wants.get(short);
    if (this.#dialect !== 'delta' || wanted === undefined || wanted === 'all' || !wanted.delete(name)) return;
    this.holds.get(short)?.delete(name);
    this.#send(short, { unsubscribe: [name] });
  }

  /** Loses its stream, with what was under way, and asks for everything anew before it reads anything; for clusters last only if it holds something of all. */
  comeBack(stream: AdsStream, clustersFirst: boolean): void {
    this.#stream = stream;
    this.#unanswered.length = 0;
    this.#lastNonce.clear();
    const asks = [...this.wants];
    const late = !clustersFirst && asks.every(([short]) => (this.holds.get(short)?.size ?? 0) > 0);
    for (const [short, wanted] of late ? asks.toReversed() : asks)
      this.#send(short, { subscribe: wanted === 'all' ? ['*'] : [...wanted], initialVersions: this.holds.get(short) ?? new Map<string, string>() });
  }

  stale(short: Short): void {
    if (!this.wants.has(short)) return;
    this.#send(short, { nonce: 'long ago' });
  }

  #send(short: Short, fields: Parameters<typeof request>[1]): void {
    const wanted = this.wants.get(short);
    const names = wanted === 'all' ? ['*'] : [...(wanted ?? [])];
    this.take(this.#stream.onRequest(request(short, { names, ...fields })).responses);
  }
}

const type = fc.constantFrom(...TYPES);
const versions = fc.dictionary(fc.constantFrom(...NAMES), fc.constantFrom('1', '2'), { maxKeys: 3 });
const content = fc.record({ cluster: versions, endpoint: versions, listener: versions, route: versions, secret: versions });
const step = fc.oneof(
  fc.record({ kind: fc.constant('subscribe' as const), type, names: fc.oneof(fc.constant('all' as const), fc.subarray(NAMES)) }),
  fc.record({ kind: fc.constant('unsubscribe' as const), type, name: fc.constantFrom(...NAMES) }),
  fc.record({ kind: fc.constant('answer' as const), accept: fc.boolean() }),
  fc.record({ kind: fc.constant('stale' as const), type }),
  fc.record({ kind: fc.constant('edit' as const), content }),
);

test.each(['sotw', 'delta'] as const)('%s: whatever happens, the client ends with what it asked for', (dialect) => {
  fc.assert(
    fc.property(content, fc.array(step, { maxLength: 40 }), content, (before, steps, after) => {
      const stream = new AdsStream(dialect, snapshot(before));
      const client = new ModelClient(dialect, stream);
      let subscribed = false;
      for (const s of steps) {
        if (s.kind === 'subscribe') client.subscribe(s.type, s.names);
        else if (s.kind === 'unsubscribe') client.unsubscribe(s.type, s.name);
        else if (s.kind === 'answer') client.answer(s.accept);
        else if (s.kind === 'stale') client.stale(s.type);
        else client.take(stream.onSnapshot(snapshot(s.content)));
        subscribed ||= s.kind === 'subscribe';
      }
      // A last edit touches everything, so that nothing is left refused; from here the client accepts.
      const fresh = Object.fromEntries(
        Object.entries(after).map(([short, names]) => [short, Object.fromEntries(Object.keys(names).map((name) => [name, 'new']))]),
      );
      client.take(stream.onSnapshot(snapshot(fresh)));
      const bound = client.responses + 30;
      while (client.waiting > 0 && client.responses < bound) client.answer(true);
      // No storm: it comes to rest.
      expect(client.waiting).toBe(0);
      for (const [short, wanted] of client.wants) {
        const target = fresh[short] ?? {};
        const expected = Object.entries(target).filter(([name]) => wanted === 'all' || wanted.has(name));
        const held = [...(client.holds.get(short) ?? [])].filter(([name]) => dialect === 'delta' || hasWildcard(TYPE_URL[short]) || name in target);
        expect([short, Object.fromEntries(held)]).toEqual([short, Object.fromEntries(expected)]);
      }
    }),
    { numRuns: 400 },
  );
});

test('a delta client that comes back is told what differs from what it says it holds, and the next edit', () => {
  const same = (a: Record<string, string>, b: Record<string, string>) => [
    ...Object.entries(b).flatMap(([name, version]) => (a[name] === version ? [] : [`+${name}@${version}`])),
    ...Object.keys(a).flatMap((name) => (name in b ? [] : [`-${name}`])),
  ];
  /** All that is told until everything is answered. */
  const told = (stream: AdsStream, short: Short, responses: readonly XdsResponse[]): string[] =>
    responses.flatMap(({ nonce, resources, removed }) => [
      ...resources.map(({ name, version }) => `+${name}@${version}`),
      ...removed.map((name) => `-${name}`),
      ...told(stream, short, stream.onRequest(request(short, { nonce })).responses),
    ]);
  fc.assert(
    fc.property(fc.constantFrom('cluster' as const, 'endpoint' as const), versions, versions, versions, (short, held, now, later) => {
      const stream = new AdsStream('delta', snapshot({ [short]: now }), short === 'cluster');
      const subscribe = short === 'cluster' ? [] : NAMES;
      const first = stream.onRequest(request(short, { subscribe, initialVersions: new Map(Object.entries(held)) })).responses;
      // A name that there is not is answered as removed, also when the client never had it.
      const absent = subscribe.filter((name) => !(name in now) && !(name in held)).map((name) => `-${name}`);
      expect(told(stream, short, first).toSorted()).toEqual([...same(held, now), ...absent].toSorted());
      expect(told(stream, short, stream.onSnapshot(snapshot({ [short]: later }))).toSorted()).toEqual(same(now, later).toSorted());
    }),
    { numRuns: 400 },
  );
});

test('no route is sent that names a cluster the client has not accepted', () => {
  // Routes named as the cluster they use, both in one version: a make-before-break order shows in what is held when.
  const same = versions.map((names) => ({ cluster: names, endpoint: names, route: names }));
  fc.assert(
    fc.property(
      same,
      fc.array(
        fc.oneof(
          fc.record({ edit: same }),
          fc.record({ answer: fc.boolean() }),
          fc.record({ away: same, clustersFirst: fc.boolean(), elsewhere: fc.boolean() }),
        ),
        {
          maxLength: 30,
        },
      ),
      (before, steps) => {
        let stream = new AdsStream('delta', snapshot(before));
        const client = new ModelClient('delta', stream);
        client.subscribe('cluster', 'all');
        while (client.waiting > 0) client.answer(true);
        client.subscribe('endpoint', NAMES);
        client.subscribe('route', NAMES);
        for (const s of steps) {
          if ('edit' in s) client.take(stream.onSnapshot(snapshot(s.edit)));
          else if ('away' in s)
            client.comeBack((stream = new AdsStream('delta', snapshot(s.away), true, s.elsewhere ? undefined : stream.types)), s.clustersFirst);
          else client.answer(true);
          for (const name of client.holds.get('route')?.keys() ?? []) expect(client.holds.get('cluster')?.has(name)).toBe(true);
        }
      },
    ),
    { numRuns: 400 },
  );
});

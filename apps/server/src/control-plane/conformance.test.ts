// The scenarios of the public xDS test harness (ii/xds-test-harness) as a table, over real sockets: four variants, separate or
// aggregated streams in either dialect. Where the harness waits three seconds for silence, the stream is ended and must hold no more.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { TYPE_URL, shortTypeName } from '@weft/mesh-core/xds';
import { openDelta, openSotw } from './testing/ads-client.ts';
import { nodeOf, perTypeTranslator, startHarness, until, virtualService } from './testing/harness.ts';
import { DISCOVERY_METHODS } from './xds-services.ts';

type Service = 'CDS' | 'LDS' | 'RDS' | 'EDS';
const URL_OF = { CDS: TYPE_URL.cluster, LDS: TYPE_URL.listener, RDS: TYPE_URL.route, EDS: TYPE_URL.endpoint } as const;
const ALL: Service[] = ['CDS', 'LDS', 'RDS', 'EDS'];
const TOGETHER: [Service, Service][] = [
  ['CDS', 'LDS'],
  ['RDS', 'EDS'],
];
const WHOLE: Service[] = ['CDS', 'LDS'];

let harness: Awaited<ReturnType<typeof startHarness>>;
const seen = new Map<string, string>();
let current: Client | undefined;
const content = new Map<string, Record<string, string>>();

beforeAll(async () => {
  harness = await startHarness({
    translate: {
      ...perTypeTranslator,
      buildMesh: (objects) => {
        for (const { metadata, spec } of objects) seen.set(metadata.name, JSON.stringify(spec));
        return objects;
      },
    },
  });
});
afterAll(() => harness.close());
afterEach(async () => {
  current?.close();
  current = undefined;
  for (const name of content.keys()) await harness.remove(name);
  content.clear();
});

/** Sets the version of resources of one service; `undefined` removes them. */
async function set(service: Service, names: string, version: string | undefined): Promise<void> {
  const objects = names.split(',').map((name) => {
    const spec = { ...content.get(name) };
    if (version === undefined) delete spec[shortTypeName(URL_OF[service])];
    else spec[shortTypeName(URL_OF[service])] = version;
    content.set(name, spec);
    return virtualService(name, spec);
  });
  await harness.put(...objects);
  // Silence counts from when the edit has been pushed: that is in the turn in which it is translated.
  await until(() => objects.every(({ metadata, spec }) => seen.get(metadata.name) === JSON.stringify(spec)));
}

/** One client; every response is acknowledged when it is taken. Responses read as `A@1 B@1 -C`. */
abstract class Client {
  abstract subscribe(service: Service, names: readonly string[]): void;
  abstract receive(service: Service): Promise<string>;
  /** All that came and was not received. */
  abstract rest(): Promise<string[]>;
  abstract close(): void;
}

/** Resources written with their version; in SotW the version is the response's, so names alone are compared there. */
const line = (parts: string[], removed: string[] = []): string => [...parts.toSorted(), ...removed.toSorted().map((name) => `-${name}`)].join(' ');
const versions = new Map<string, string>();

class SotwClient extends Client {
  readonly #streams = new Map<string, ReturnType<typeof openSotw>>();
  readonly #aggregated: boolean;
  readonly #names = new Map<Service, readonly string[]>();
  readonly #nonces = new Map<Service, string>();

  constructor(aggregated: boolean) {
    super();
    this.#aggregated = aggregated;
  }

  subscribe(service: Service, names: readonly string[]): void {
    this.#names.set(service, names);
    this.#send(service);
  }

  async receive(service: Service): Promise<string> {
    const response = await this.#stream(service).next();
    expect(response.typeUrl).toBe(URL_OF[service]);
    expect(response.versionInfo).not.toBe(versions.get(service));
    versions.set(service, response.versionInfo);
    this.#nonces.set(service, response.nonce);
    this.#send(service);
    return String(response.resources.length);
  }

  async rest(): Promise<string[]> {
    return (await Promise.all([...this.#streams.values()].map((stream) => stream.drain()))).flat().map((r) => r.typeUrl);
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.close();
  }

  #send(service: Service): void {
    this.#stream(service).send({
      node: nodeOf('test-id'),
      typeUrl: URL_OF[service],
      resourceNames: [...(this.#names.get(service) ?? [])],
      versionInfo: versions.get(service) ?? '',
      responseNonce: this.#nonces.get(service) ?? '',
    });
  }

  #stream(service: Service): ReturnType<typeof openSotw> {
    return streamOf(this.#streams, service, this.#aggregated, (path) => openSotw(harness.plane.ports().plain, undefined, path), 'sotw');
  }
}

class DeltaClient extends Client {
  readonly #streams = new Map<string, ReturnType<typeof openDelta>>();
  readonly #aggregated: boolean;

  constructor(aggregated: boolean) {
    super();
    this.#aggregated = aggregated;
  }

  subscribe(service: Service, names: readonly string[]): void {
    this.#stream(service).send({ node: nodeOf('test-id'), typeUrl: URL_OF[service], resourceNamesSubscribe: [...names] });
  }

  unsubscribe(service: Service, names: readonly string[]): void {
    this.#stream(service).send({ typeUrl: URL_OF[service], resourceNamesUnsubscribe: [...names] });
  }

  async receive(service: Service): Promise<string> {
    const response = await this.#stream(service).next();
    expect(response.typeUrl).toBe(URL_OF[service]);
    this.#stream(service).send({ typeUrl: URL_OF[service], responseNonce: response.nonce });
    return line(
      response.resources.map((r) => `${r.name}@${r.version}`),
      response.removedResources,
    );
  }

  async rest(): Promise<string[]> {
    return (await Promise.all([...this.#streams.values()].map((stream) => stream.drain()))).flat().map((r) => line(r.resources.map((x) => x.name)));
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.close();
  }

  #stream(service: Service): ReturnType<typeof openDelta> {
    return streamOf(this.#streams, service, this.#aggregated, (path) => openDelta(harness.plane.ports().plain, undefined, path), 'delta');
  }
}

function streamOf<S>(streams: Map<string, S>, service: Service, aggregated: boolean, open: (path: string) => S, dialect: 'sotw' | 'delta'): S {
  const only = aggregated ? undefined : URL_OF[service];
  const method = DISCOVERY_METHODS.find((m) => m.dialect === dialect && m.only === only);
  if (method === undefined) throw new Error(`no method for ${service}`);
  let stream = streams.get(method.path);
  if (stream === undefined) streams.set(method.path, (stream = open(method.path)));
  return stream;
}

const names = (list: string): string[] => list.split(',');

describe.each([
  { variant: 'SotW, separate', aggregated: false },
  { variant: 'SotW, aggregated', aggregated: true },
])('$variant', ({ aggregated }) => {
  const client = (): SotwClient => {
    versions.clear();
    const made = new SotwClient(aggregated);
    current = made;
    return made;
  };

  test.each(WHOLE)('%s: a wildcard request is answered with everything', async (service) => {
    await set(service, 'A,B,C', '1');
    const c = client();
    c.subscribe(service, []);
    expect(await c.receive(service)).toBe('3');
    expect(await c.rest()).toEqual([]);
  });

  test.each(WHOLE)('%s: a wildcard client gets every update, as the full set', async (service) => {
    await set(service, 'A,B,C', '1');
    const c = client();
    c.subscribe(service, []);
    expect(await c.receive(service)).toBe('3');
    await set(service, 'A', '2');
    expect(await c.receive(service)).toBe('3');
    expect(await c.rest()).toEqual([]);
  });

  test.each(WHOLE)('%s: a wildcard client gets what is added', async (service) => {
    await set(service, 'A,B,C', '1');
    const c = client();
    c.subscribe(service, []);
    expect(await c.receive(service)).toBe('3');
    await set(service, 'D', '2');
    expect(await c.receive(service)).toBe('4');
    expect(await c.rest()).toEqual([]);
  });

  test.each([
    ['CDS', 'A,B,C,D', 'B,D'],
    ['LDS', 'G,B,L,D', 'L,G'],
    ['RDS', 'A,B', 'A,B'],
    ['EDS', 'A,B', 'A,B'],
  ] as const)('%s: of %s those named, %s', async (service, all, some) => {
    await set(service, all, '1');
    const c = client();
    c.subscribe(service, names(some));
    expect(await c.receive(service)).toBe('2');
    expect(await c.rest()).toEqual([]);
  });

  test.each([
    ['CDS', '2'],
    ['LDS', '2'],
    ['RDS', '1'],
    ['EDS', '1'],
  ] as const)('%s: an update of one of two named brings %s', async (service, count) => {
    await set(service, 'A,B,C,D', '1');
    const c = client();
    c.subscribe(service, ['B', 'D']);
    expect(await c.receive(service)).toBe('2');
    await set(service, 'B', '2');
    expect(await c.receive(service)).toBe(count);
    expect(await c.rest()).toEqual([]);
  });

  test.each([
    ['CDS', '2'],
    ['LDS', '2'],
    ['RDS', '1'],
    ['EDS', '1'],
  ] as const)('%s: a name that is missing is answered when it appears, with %s', async (service, count) => {
    await set(service, 'A,B,C,D', '1');
    const c = client();
    c.subscribe(service, ['A', 'Z']);
    expect(await c.receive(service)).toBe('1');
    await set(service, 'Z', '2');
    expect(await c.receive(service)).toBe(count);
    expect(await c.rest()).toEqual([]);
  });

  test.each(ALL)('%s: some names are unsubscribed, the rest goes on', async (service) => {
    await set(service, 'A,B,C,D', '1');
    const c = client();
    c.subscribe(service, ['B', 'D']);
    expect(await c.receive(service)).toBe('2');
    c.subscribe(service, ['B']);
    await set(service, 'B', '2');
    expect(await c.receive(service)).toBe('1');
    expect(await c.rest()).toEqual([]);
  });

  test.each(ALL)('%s: all names are unsubscribed, then there is silence', async (service) => {
    await set(service, 'A,B,C,D', '1');
    const c = client();
    c.subscribe(service, ['A', 'B']);
    expect(await c.receive(service)).toBe('2');
    c.subscribe(service, []);
    await set(service, 'B', '2');
    expect(await c.rest()).toEqual([]);
  });

  test.each(aggregated ? TOGETHER : [])('%s and %s on one stream', async (service, other) => {
    await set(service, 'A,B,C', '1');
    await set(other, 'A,B,C', '1');
    const c = client();
    c.subscribe(service, ['B']);
    expect(await c.receive(service)).toBe('1');
    c.subscribe(other, ['B']);
    expect(await c.receive(other)).toBe('1');
    await set(service, 'B', '2');
    expect(await c.receive(service)).toBe('1');
    expect(await c.rest()).toEqual([]);
  });
});

describe.each([
  { variant: 'delta, separate', aggregated: false },
  { variant: 'delta, aggregated', aggregated: true },
])('$variant', ({ aggregated }) => {
  const client = (): DeltaClient => {
    const made = new DeltaClient(aggregated);
    current = made;
    return made;
  };

  test.each(WHOLE)('%s: a wildcard request is answered with everything', async (service) => {
    await set(service, 'A,B,C', '1');
    const c = client();
    c.subscribe(service, []);
    expect(await c.receive(service)).toBe('A@1 B@1 C@1');
    expect(await c.rest()).toEqual([]);
  });

  test.each(ALL)('%s: names are subscribed one after the other', async (service) => {
    await set(service, 'A,B,C', '1');
    const c = client();
    c.subscribe(service, ['A']);
    expect(await c.receive(service)).toBe('A@1');
    c.subscribe(service, ['B']);
    expect(await c.receive(service)).toBe('B@1');
    expect(await c.rest()).toEqual([]);
  });

  test.each(ALL)('%s: an update brings only what changed', async (service) => {
    await set(service, 'A,B,C', '1');
    const c = client();
    c.subscribe(service, ['A', 'B', 'C']);
    expect(await c.receive(service)).toBe('A@1 B@1 C@1');
    await set(service, 'A', '2');
    expect(await c.receive(service)).toBe('A@2');
    expect(await c.rest()).toEqual([]);
  });

  test.each(ALL)('%s: what does not exist is told, and told again when it does', async (service) => {
    await set(service, 'A', '1');
    const c = client();
    c.subscribe(service, ['A', 'B']);
    expect(await c.receive(service)).toBe('A@1 -B');
    await set(service, 'B', '1');
    expect(await c.receive(service)).toBe('B@1');
    expect(await c.rest()).toEqual([]);
  });

  test.each(ALL)('%s: a removal is told by name, and the return too', async (service) => {
    await set(service, 'A,B', '1');
    const c = client();
    c.subscribe(service, ['A', 'B']);
    expect(await c.receive(service)).toBe('A@1 B@1');
    await set(service, 'B', undefined);
    expect(await c.receive(service)).toBe('-B');
    await set(service, 'B', '2');
    expect(await c.receive(service)).toBe('B@2');
    expect(await c.rest()).toEqual([]);
  });

  test.each(ALL)('%s: names are unsubscribed one by one', async (service) => {
    await set(service, 'A,B', '1');
    const c = client();
    c.subscribe(service, ['A', 'B']);
    expect(await c.receive(service)).toBe('A@1 B@1');
    c.unsubscribe(service, ['B']);
    await set(service, 'B', '2');
    c.unsubscribe(service, ['A']);
    await set(service, 'A', '2');
    expect(await c.rest()).toEqual([]);
  });

  test.each(aggregated ? TOGETHER : [])('%s and %s on one stream', async (service, other) => {
    await set(service, 'A,B,C', '1');
    await set(other, 'A,B,C', '1');
    const c = client();
    c.subscribe(service, ['B']);
    expect(await c.receive(service)).toBe('B@1');
    c.subscribe(other, ['B']);
    expect(await c.receive(other)).toBe('B@1');
    await set(service, 'B', '2');
    expect(await c.receive(service)).toBe('B@2');
    expect(await c.rest()).toEqual([]);
  });
});

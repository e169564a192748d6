// Edits of a live mesh under traffic: whatever changes, no request to what is served before and after goes wrong, on either data plane.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type MeshObject, refKey, refOf } from '@weft/mesh-core/model';
import { findEnvoy, startEnvoy } from '../../src/agent/envoy.ts';
import type { WriteOp } from '../../src/config-store/config-store.ts';
import { startHarness } from '../../src/control-plane/testing/harness.ts';
import type { ProxySpec } from '../../src/proxy/config/proxy-spec.ts';
import { createProxyRuntime } from '../../src/proxy/http/runtime.ts';
import { startProxy } from '../../src/proxy/instance.ts';
import { testAuthority } from '../../src/proxy/listener/testing/certificates.ts';
import { freePort } from '../../src/proxy/listener/testing/free-port.ts';
import type { Manifest } from '../behaviour/random/parts.ts';
import { PLANES, object } from '../planes/planes.ts';
import { startLink } from './link.ts';
import { Http2Client, type Kind, ask, converse, pause, startHttpApp, startTcpApp } from './traffic.ts';
import { CERTIFICATES, EDGE, OUTSIDE, STABLE, STABLES, VERSIONS, WEB, type World, type Worlds } from './worlds.ts';

type Plane = (typeof PLANES)[number];

/** Where one client's sidecar listens, and the gateway of its data plane. */
interface Client {
  plane: Plane;
  web: number;
  stable: number;
  tcp: number;
  any: number;
  proxy: number;
  edge: number;
}

const ANSWER_WITHIN_MS = 60_000;
/** Certificates are renewed at half of it, while edits go on. */
const SECRET_TTL_MS = 20_000;
/** Streams end and come back all the time. */
const CONNECTION_AGE_MS = 2_500;
/** No more than what is left to connections of a listener that has changed, also on Envoy, which ends them then. */
const TALK_MS = 30_000;
/** Commits are gathered, and worked out in turns. */
const TRACED_WITHIN_MS = 500;
const LOG = '%START_TIME% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %RESPONSE_CODE_DETAILS% %DURATION%\n';

export interface Outcome {
  /** What went wrong, a text each. */
  problems: string[];
  answered: number;
  /** Conversations that were kept up across edits. */
  conversations: number;
}

export async function runEdits(worlds: Worlds): Promise<Outcome> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-edits-'));
  const stops: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];
  try {
    return await run(worlds, dir, stops);
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
}

async function run(worlds: Worlds, dir: string, stops: (() => unknown)[]): Promise<Outcome> {
  const accessLogFile = join(dir, 'access.log');
  const settings = { accessLogFile, accessLogFormat: LOG };
  const mesh = await startHarness({ realTranslator: true, secretTtlMs: SECRET_TTL_MS, maxConnectionAgeMs: CONNECTION_AGE_MS, settings });
  stops.push(() => mesh.close());
  const link = await startLink(() => mesh.plane.ports().tls);
  stops.push(() => link.close());
  const authority = await testAuthority();
  const texts = new Map<string, string>();
  for (const name of CERTIFICATES) {
    const { chainPem, keyPem } = await authority.issue(EDGE);
    texts.set(`CHAIN(${name})`, btoa(chainPem)).set(`KEY(${name})`, btoa(keyPem));
  }
  const ports = new Map<string, number>();
  const apps = new Map<string, number>();
  for (const name of [...VERSIONS, ...STABLES, 'outside', ...STABLES.flatMap((stable) => [`${stable}-tcp`, `${stable}-any`])]) {
    const app = name.includes('-') ? await startTcpApp() : await startHttpApp(name);
    stops.push(() => app.close());
    apps.set(name, app.port);
    ports.set(name, name === 'v3' || name === 'outside' ? app.port : await freePort());
  }
  for (const plane of PLANES) ports.set(`edge-${plane}`, await freePort());
  const portOf = (name: string): number => ports.get(name) ?? 0;
  const filled = (json: string): string =>
    json
      .replaceAll(/"\$PORT\(([-\w]+)\)"/g, (_, name: string) => String(portOf(name)))
      .replaceAll(/\$((?:CHAIN|KEY)\(\w+\))/g, (_, name: string) => texts.get(name) ?? '');
  const objectsOf = ({ objects }: World): MeshObject[] => {
    const manifests = JSON.parse(filled(JSON.stringify(objects))) as Manifest[];
    return manifests.filter(([kind, name]) => kind !== 'Gateway' || ports.has(name)).map(([kind, name, spec]) => object(kind, name, spec));
  };

  const made = worlds.map(objectsOf);

  let proxies = 0;
  const start = async (plane: Plane, workload: string, changes: Partial<ProxySpec>): Promise<void> => {
    proxies++;
    const spec: ProxySpec = {
      ...{ workload, namespace: 'shop', serviceAccount: workload, trustDomain: 'cluster.local', meshId: 'edits', role: 'sidecar' as const, ip: '127.0.0.1' },
      ...{ labels: {}, httpProxyPort: 0, inbound: [], upstreams: [], adminPort: plane === 'envoy' ? await freePort() : 0, stateDir: '' },
      ...{ xdsAddress: `127.0.0.1:${link.port}`, rootCaPem: mesh.ca.rootCaPem, otlpEndpoint: 'http://127.0.0.1:9' },
      joinToken: mesh.ca.issueJoinToken({ namespace: 'shop', workload, serviceAccount: workload }),
      ...changes,
    };
    if (plane === 'envoy') {
      const files = { dir: join(dir, workload), logFile: join(dir, `${workload}.log`) };
      const child = await startEnvoy({ spec, binary: findEnvoy(process.env), ...files, log: () => undefined });
      stops.push(() => child.stop(2_000));
    } else {
      const proxy = await startProxy(spec, { createRuntime: createProxyRuntime, log: () => undefined });
      stops.push(() => proxy.drain(200));
      await proxy.ready;
    }
  };

  const problems: string[] = [];
  let now = new Map<string, MeshObject>();
  let last = { revision: '', at: 0 };
  /** Brings the store to this world in one commit. */
  const edit = async (objects: readonly MeshObject[]): Promise<void> => {
    const wanted = new Map(objects.map((object) => [refKey(refOf(object)), object]));
    const changed = [...wanted].filter(([key, object]) => !isDeepStrictEqual(now.get(key)?.spec, object.spec));
    const gone = [...now].filter(([key]) => !wanted.has(key));
    now = wanted;
    const puts = changed.map(([, object]): WriteOp => ({ op: 'put', object }));
    const ops = [...puts, ...gone.map(([, object]): WriteOp => ({ op: 'delete', ref: refOf(object) }))];
    last = { revision: (await mesh.store.write(ops, { actor: 'edits' })).revision, at: performance.now() };
  };
  /** All that are there have answered for the last edit; `everybody`: all are there. */
  const settled = async (everybody: boolean): Promise<void> => {
    const { revision, at } = last;
    for (const end = performance.now() + ANSWER_WITHIN_MS; performance.now() < end;) {
      const spread = mesh.plane.propagation(revision);
      const all = mesh.plane.proxies().filter(({ state }) => state === 'synced').length === proxies;
      // Of one that came when nobody was there, or no control plane, there is no trace: who comes begins with it.
      const told = spread !== undefined && mesh.plane.waiting() === 0 && spread.proxies.every(({ state }) => state !== 'pending' && state !== 'sent');
      const answered = spread === undefined ? all && performance.now() - at > TRACED_WITHIN_MS : told && (all || !everybody);
      if (answered) {
        for (const { state, workload, error } of spread?.proxies ?? [])
          if (state === 'nacked') problems.push(`${workload} refused revision ${revision}: ${error}`);
        return;
      }
      await pause(5);
    }
    problems.push(`not all have answered for revision ${revision}`);
  };
  /** As kill -9 does it. */
  const die = async (): Promise<void> => {
    link.cut();
    await mesh.plane.stop();
  };
  const comeBack = async (): Promise<void> => {
    await mesh.startAgain();
    link.mend();
  };

  await edit(made[0] ?? []);
  const inbound = (name: string, servicePort: number, at: string): ProxySpec['inbound'][number] => ({
    ...{ name, servicePort, listenPort: portOf(at), appPort: apps.get(at) ?? 0 },
  });
  const servers = [PLANES[0] ?? 'embedded', PLANES.at(-1) ?? 'embedded'].flatMap((plane, i) => {
    const [version, stable] = [VERSIONS[i] ?? '', STABLES[i] ?? ''];
    return [
      start(plane, `web-${version}`, { labels: { app: 'web', version }, inbound: [inbound('http', 80, version)] }),
      start(plane, `stable-${stable}`, {
        labels: { app: 'stable', version: stable },
        inbound: [inbound('http', 80, stable), inbound('tcp', 90, `${stable}-tcp`), inbound('any', 91, `${stable}-any`)],
      }),
    ];
  });
  const clients = await Promise.all(
    PLANES.map(async (plane): Promise<Client> => {
      const client = {
        ...{ plane, web: await freePort(), stable: await freePort(), tcp: await freePort(), any: await freePort() },
        ...{ proxy: await freePort(), edge: portOf(`edge-${plane}`) },
      };
      const upstreams = [
        { host: WEB, port: 80, listenPort: client.web },
        { host: STABLE, port: 80, listenPort: client.stable },
        { host: STABLE, port: 90, listenPort: client.tcp },
        { host: STABLE, port: 91, listenPort: client.any },
      ];
      const started = start(plane, `client-${plane}`, { labels: { app: 'client' }, httpProxyPort: client.proxy, upstreams });
      await Promise.all([started, start(plane, `edge-${plane}`, { role: 'router', labels: { istio: plane } })]);
      return client;
    }),
  );
  await Promise.all(servers);

  let step = 0;
  let running = true;
  const outcome: Outcome = { problems, answered: 0, conversations: 0 };
  /** Has it done again and again. */
  const worker = async (who: string, everyMs: number, once: (n: number) => Promise<string>): Promise<void> => {
    for (let n = 0; running; n++) {
      const since = step;
      const began = performance.now();
      const told = await once(n);
      if (told === '200') outcome.answered++;
      else problems.push(`${new Date().toISOString()} ${who}, edits ${since} to ${step}, ${Math.round(performance.now() - began)} ms: ${told}`);
      await pause(everyMs);
    }
  };
  const kept = (who: string, port: number, host: string): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    return worker(who, 2, (n) => ask(port, host, n, { agent })).finally(() => agent.destroy());
  };
  /** Some last for a few edits, some for many. */
  const talks = (who: string, kind: Kind, port: number, host: string): Promise<void> =>
    worker(`${who}, ${kind} kept open`, 2, async (n) => {
      const until = step + 1 + ((n * 7) % 25);
      const end = performance.now() + TALK_MS;
      const told = await converse(kind, port, host, () => step >= until || !running || performance.now() > end);
      if (told === '200') outcome.conversations++;
      return told;
    });
  const workers = clients.flatMap(({ plane, web, stable, tcp, any, proxy, edge }) => {
    const http2 = new Http2Client(web);
    return [
      ...[kept(`${plane} to web`, web, WEB), kept(`${plane} to web by proxy`, proxy, WEB)],
      ...[kept(`${plane} to stable`, stable, STABLE), kept(`${plane} to outside`, proxy, OUTSIDE)],
      worker(`${plane} to web by HTTP/2`, 2, () => http2.ask(WEB)).finally(() => http2.close()),
      worker(`gateway ${plane}`, 10, (n) => ask(edge, EDGE, n, { tls: { ca: authority.caPem } })),
      ...[talks(`${plane} to web`, 'request', web, WEB), talks(`${plane} to stable`, 'request', stable, STABLE)],
      ...[talks(`${plane} to stable`, 'websocket', stable, STABLE), talks(`${plane} to stable`, 'tcp', tcp, STABLE)],
      ...[talks(`${plane} to web`, 'http2', web, WEB), talks(`${plane} to stable by a sniffed port`, 'tcp', any, STABLE)],
    ];
  });
  for (step = 1; step < worlds.length; step++) {
    const world = worlds[step] as World;
    if (world.settles) await settled(true);
    if (world.controlPlane === 'away') await die();
    await edit(made[step] ?? []);
    if (world.controlPlane !== undefined) {
      if (world.controlPlane === 'away') await pause(50);
      else {
        await pause(world.controlPlane.diesAfterMs);
        await die();
      }
      await comeBack();
    }
    // Every other edit comes before the one before it has reached everybody.
    if (world.settles || step % 2 === 0) await settled(world.settles || world.controlPlane !== undefined);
    else await pause(step % 5);
  }
  await pause(100);
  running = false;
  await Promise.all(workers);
  if (problems.length === 0) return outcome;
  await pause(1_000);
  const refused = readFileSync(accessLogFile, 'utf8')
    .split('\n')
    .filter((line) => / (?:[45]\d\d|0) [A-Z]/.test(line));
  return { ...outcome, problems: [...problems, ...refused] };
}

// A random world of connections on both data planes, and what they see differently.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { testAuthority } from '../../src/proxy/listener/testing/certificates.ts';
import { differences } from '../behaviour/harness/match.ts';
import { validObjects } from '../behaviour/random/parts.ts';
import { PLANES, type RunningPlane, runPlane } from '../planes/planes.ts';
import { type AppName, type Apps, type Arrived, startApps } from './apps.ts';
import { type Question, type Seen, ask } from './clients.ts';
import { INBOUND, PORTS, SERVICES, type World, hostOf } from './configuration.ts';

const authority = await testAuthority('mesh');
const strangers = await testAuthority('strange');
const own = await authority.issue('spiffe://cluster.local/ns/shop/sa/web');
const edge = await authority.issue('edge.test');
const IDENTITIES = {
  mesh: await authority.issue('spiffe://cluster.local/ns/shop/sa/peer'),
  stranger: await strangers.issue('spiffe://cluster.local/ns/shop/sa/peer'),
};
const inline = (text: string) => ({ inlineString: text });
const pair = ({ chainPem, keyPem }: typeof own) => ({ certificateChain: inline(chainPem), privateKey: inline(keyPem) });
const trust = { trustedCa: inline(authority.caPem) };
const SECRETS: readonly JsonObject[] = [
  { name: 'default', tlsCertificate: pair(own) },
  { name: 'ROOTCA', validationContext: trust },
  { name: 'kubernetes://edge', tlsCertificate: pair(edge) },
  { name: 'kubernetes://edge-cacert', validationContext: trust },
];

const LOG = [
  '%RESPONSE_CODE%',
  '%RESPONSE_FLAGS%',
  '%RESPONSE_CODE_DETAILS%',
  '%CONNECTION_TERMINATION_DETAILS%',
  '%UPSTREAM_CLUSTER%',
  '%REQUESTED_SERVER_NAME%',
  '%BYTES_RECEIVED%',
  '%BYTES_SENT%',
  '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
];

interface Side extends RunningPlane {
  log(): Map<string, string[]>;
}

async function start(plane: (typeof PLANES)[number], world: World, apps: Apps, dir: string): Promise<Side> {
  const objects = validObjects(world.manifests, (json) => json.replaceAll(/"\$PORT\((\w+)\)"/g, (_, app: AppName) => String(apps.port(app))));
  const node = world.gateway
    ? { role: 'router' as const, labels: { istio: 'gw' } }
    : {
        upstreams: SERVICES.flatMap((service) => PORTS.map(({ port }) => ({ host: hostOf(service), port, listenPort: 1 }))),
        inbound: INBOUND.map((name, i) => ({ name, servicePort: i + 1, listenPort: i + 1, appPort: apps.port('a') })),
      };
  const file = join(dir, plane);
  const settings = { accessLogFile: file, accessLogFormat: `%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS%\t${LOG.join('\t')}\n` };
  const running = await runPlane(plane, objects, { node, settings, secrets: SECRETS });
  const log = (): Map<string, string[]> => {
    const lines = new Map<string, string[]>();
    if (!existsSync(file)) return lines;
    for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) {
      const [from = '', ...fields] = line.split('\t');
      const key = from.replaceAll(/[0-9.]+:/g, '');
      lines.set(key, [...(lines.get(key) ?? []), fields.join(' ').replaceAll(/:\d{4,5}\b/g, ':<port>')]);
    }
    return lines;
  };
  return { ...running, log };
}

/** A text for each question that the planes see differently, each time they are asked: on a busy machine one of two may have come first for once. */
export async function differencesOf(world: World, times = 3): Promise<string[]> {
  const differing = await askAll(world);
  if (differing.size === 0 || times === 1) return [...differing].map(([question, found]) => `${found.join('\n')}\n  asked ${JSON.stringify(question)}`);
  return differencesOf({ ...world, questions: [...differing.keys()] }, times - 1);
}

async function askAll(world: World): Promise<Map<Question, string[]>> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-connections-'));
  const apps = await startApps(await authority.issue('app.test'));
  const sides: Side[] = [];
  try {
    for (const plane of PLANES) sides.push(await start(plane, world, apps, dir));
    const all: [Question, Outcome[]][] = [];
    // One at a time: whose connection an application has seen is told by when.
    for (const question of world.questions) {
      const outcomes: Outcome[] = [];
      for (const side of sides) {
        const at = opened(side, question.to);
        const seen = await ask(question, at, IDENTITIES);
        outcomes.push({ ...seen, at, arrived: await apps.arrived() });
      }
      all.push([question, outcomes]);
    }
    for (const side of sides) await side.stop();
    const logs = sides.splice(0).map((side) => side.log());
    const differing = new Map<Question, string[]>();
    for (const [question, outcomes] of all) {
      const [left, right] = outcomes.map((outcome, i) => comparable(outcome, question, logs[i]?.get(`${outcome.from} ${outcome.at}`) ?? []));
      const found = differences(left, right);
      if (found.length > 0) differing.set(question, found);
    }
    return differing;
  } finally {
    for (const side of sides) await side.stop();
    await apps.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** 0 = nobody listens, as where a gateway's port has no routes. */
function opened(side: Side, listener: string): number {
  try {
    return side.port(listener);
  } catch {
    return 0;
  }
}

interface Outcome extends Seen {
  /** Port it asked. */
  at: number;
  arrived: Arrived[];
}

function comparable({ text, end, protocol, arrived }: Outcome, { last, tls, pieces }: Question, log: readonly string[]): object {
  const failed = log.some((line) => line.includes('UF'));
  // How many bytes there were until a reset or a refusal is a matter of time; TLS that passes through is not always as long.
  const uncounted =
    last === 'reset' ||
    // So is how many pieces there were until an application of TLS has found that they are none.
    (tls === undefined && pieces.length > 1 && arrived.length === 0) ||
    log.some((line) => line.includes('rbac_')) ||
    arrived.some(({ bytes, hello }) => hello !== '' || isHello(bytes) || bytes.startsWith('PRI '));
  return {
    protocol,
    text: protocol === 'h2' ? '' : last === 'reset' ? text !== '' : beginning(text),
    // Without an answer, and under TLS, how it ends depends on what had been read.
    end: (text === '' || tls !== undefined) && end !== 'silent' && end !== 'refused' ? 'over' : end,
    // Whom a further try asks is chance, and what a failed handshake leaves unread makes an end a reset.
    arrived: failed
      ? []
      : arrived.map(({ bytes, end: over, ...it }) => ({
          ...it,
          // Node cannot reset a connection of TLS.
          end: it.hello === '' ? over : '',
          bytes: isHello(bytes) ? '<TLS>' : last === 'reset' || bytes.startsWith('PRI ') ? bytes !== '' : bytes.replace(/(HTTP\/1.[01]\r?\n)[^]*/, '$1'),
        })),
    log: log.map((line) => (uncounted ? line.replaceAll(/ \d+(?= )/g, ' <bytes>') : line).replace(/(ERR_SSL|TLS_error).*/, '<words of the library>')),
  };
}

/** Of HTTP only that it is, what is in it others compare; of TLS too. */
function beginning(text: string): string {
  const at = [text.indexOf('HTTP/1.'), text.indexOf('<\x16\x03')].filter((index) => index >= 0);
  return at.length === 0 ? text : text.slice(0, Math.min(...at) + 'HTTP/1.1 200'.length);
}

const isHello = (bytes: string): boolean => bytes.startsWith('\x16\x03') && bytes.length > 100;

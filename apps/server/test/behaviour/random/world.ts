// A random world: configuration and requests by one seed, asked on both data planes; what they see differently.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeshObject } from '@weft/mesh-core/model';
import type { OtlpSpan } from '@weft/mesh-core/telemetry';
import type { Random } from '../../fuzz/random.ts';
import { testAuthority } from '../../../src/proxy/listener/testing/certificates.ts';
import { PATIENT, PLANES } from '../../planes/planes.ts';
import { runTracedPlane } from '../../planes/traced.ts';
import type { AppName } from '../case.ts';
import type { Apps } from '../harness/apps.ts';
import { differences } from '../harness/match.ts';
import { JWKS } from '../harness/tokens.ts';
import { type Side, compare, meant } from './comparison.ts';
import { mesh } from './configuration.ts';
import { type Manifest, validObjects } from './parts.ts';
import { type Question, question } from './questions.ts';
import { HOSTS } from './words.ts';

export interface World {
  gateway: boolean;
  manifests: readonly Manifest[];
  questions: readonly Question[];
}

/** Spans tell whose they are. */
const KEYED = { tracing: [{ customTags: { key: { header: { name: 'x-key' } } } }] };

export function randomWorld(random: Random, requests: number): World {
  const gateway = random.below(3) === 0;
  const mirrored = random.below(2) === 0;
  const listeners = gateway ? ['127.0.0.1_80', '127.0.0.1_8080'] : [...HOSTS.map((host) => `${host}_80`), 'http_proxy', 'http_proxy', 'virtualInbound_1'];
  const own: Manifest[] = gateway
    ? [
        ['Gateway', 'gw', { selector: { istio: 'gw' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] }],
        [
          'gateway.networking.k8s.io/v1 Gateway',
          'api',
          { gatewayClassName: 'istio', addresses: [{ type: 'Hostname', value: 'edge' }], listeners: [{ name: 'http', port: 8080, protocol: 'HTTP' }] },
        ],
        ['v1 Service', 'edge', { selector: { istio: 'gw' }, ports: [{ name: 'http', port: 8080 }] }],
      ]
    : [];
  return {
    gateway,
    manifests: [['telemetry.istio.io/v1 Telemetry', 'key', KEYED], ...own, ...mesh(random, gateway, mirrored)],
    questions: Array.from({ length: requests }, () => question(random, listeners, !mirrored)),
  };
}

const objectsOf = ({ manifests }: World, apps: Apps): MeshObject[] =>
  validObjects(manifests, (json) =>
    json.replaceAll(/"\$PORT\((\w+)\)"/g, (_, app: AppName) => String(apps.port(app))).replaceAll('"$JWKS"', JSON.stringify(JWKS)),
  );

const authority = await testAuthority('known');
const { chainPem, keyPem } = await authority.issue('web.test');
/** Nobody speaks TLS here; its listeners and clusters want them all the same. */
const SECRETS = [
  { name: 'default', tlsCertificate: { certificateChain: { inlineString: chainPem }, privateKey: { inlineString: keyPem } } },
  { name: 'ROOTCA', validationContext: { trustedCa: { inlineString: authority.caPem } } },
];

const LOG = [
  '%RESPONSE_CODE%',
  '%RESPONSE_FLAGS%',
  '%RESPONSE_CODE_DETAILS%',
  '%ROUTE_NAME%',
  '%UPSTREAM_CLUSTER%',
  '%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  '%PROTOCOL%',
  '%BYTES_RECEIVED%',
  '%REQ(:AUTHORITY)%',
  '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  '%GRPC_STATUS_NUMBER%',
  ...[
    'x-a',
    'x-b',
    'x-new',
    'host',
    'user-agent',
    'x-forwarded-proto',
    'x-envoy-original-path',
    'x-envoy-attempt-count',
    'te',
    'x-payload',
    'x-sub',
    'x-envoy-decorator-operation',
    'x-envoy-original-host',
    'authorization',
    'cookie',
    'accept',
  ].map((name) => `%REQ(${name})%`),
  ...[
    'x-a',
    'x-b',
    'x-new',
    'x-out',
    'server',
    'location',
    'vary',
    'set-cookie',
    'content-type',
    'access-control-allow-origin',
    'cache-control',
    'grpc-message',
    ':status',
  ].map((name) => `%RESP(${name})%`),
];

interface Traced extends Side {
  readonly spans: readonly OtlpSpan[];
}

async function start(plane: (typeof PLANES)[number], world: World, apps: Apps, dir: string): Promise<Traced> {
  const node = world.gateway
    ? { role: 'router' as const, labels: { istio: 'gw' } }
    : {
        httpProxyPort: 1,
        upstreams: HOSTS.map((host) => ({ host, port: 80, listenPort: 1 })),
        inbound: [{ name: 'http', servicePort: 80, listenPort: 1, appPort: apps.port('a') }],
      };
  const log = join(dir, plane);
  const settings = {
    outboundTrafficPolicy: 'REGISTRY_ONLY' as const,
    tracingSamplingPercent: 100,
    accessLogFile: log,
    accessLogFormat: `%REQ(x-key)%\t${LOG.join('\t')}\n`,
  };
  const version = plane === 'envoy' ? '1.40.0' : '0';
  const mirrored = /mirror/i.test(JSON.stringify(world.manifests));
  return { mirrored, ...(await runTracedPlane(plane, objectsOf(world, apps), { node: { ...node, version }, settings, secrets: SECRETS })) };
}

/** Requests at once. */
const PARALLEL = 8;

/** What the planes saw differently, one text for each request that shows it. */
export async function differencesOf(world: World, apps: Apps): Promise<string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-world-'));
  const sides: Traced[] = [];
  try {
    for (const plane of PLANES) sides.push(await start(plane, world, apps, dir));
    const found: string[] = [];
    const asked: [Question, string[]][] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let q = world.questions[next++]; q !== undefined; q = world.questions[next++]) {
        const told = await compare(q, sides as [Traced, Traced], apps);
        if ('keys' in told) asked.push([q, told.keys]);
        else found.push(`${told.problem}\n  asked ${JSON.stringify(q)}`);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
    const traced = await tracedApart(asked, sides as [Traced, Traced]);
    const counted = await Promise.all(sides.map((side) => side.prometheus()));
    await Promise.all(sides.splice(0).map((side) => side.stop()));
    return [...found, ...logged(asked, dir), ...traced, ...metered(counted, JSON.stringify(world).includes('"weight"'))];
  } finally {
    await Promise.all(sides.map((side) => side.stop()));
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What spans of the same request say differently. */
async function tracedApart(asked: readonly [Question, readonly string[]][], sides: readonly [Traced, Traced]): Promise<string[]> {
  const pairs = (): [Question, (OtlpSpan | undefined)[]][] => {
    const byKey = sides.map(({ spans }) => new Map(spans.map((span) => [span.attributes['key'], span])));
    return asked.map(([q, keys]) => [q, keys.map((key, i) => byKey[i]?.get(key))]);
  };
  // Envoy has none where a program's name is not UTF-8; its others come a moment later.
  const isAbsent = ([left, right]: (OtlpSpan | undefined)[]): boolean => right === undefined && String(left?.attributes['user_agent']).includes('é');
  const missing = (): boolean => pairs().some(([, pair]) => pair[0] !== undefined && pair[1] === undefined && !isAbsent(pair));
  const until = performance.now() + PATIENT.timeout;
  while (missing() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  return pairs().flatMap(([q, pair]) => {
    const [left, right] = pair;
    if (isAbsent(pair)) return [];
    if (left?.attributes['upstream_cluster'] !== right?.attributes['upstream_cluster']) return [];
    const differing = differences(spanText(left), spanText(right));
    return differing.length === 0 ? [] : [`span ${differing.join('; ')}\n  asked ${JSON.stringify(q)}`];
  });
}

function spanText(span: OtlpSpan | undefined): unknown {
  if (span === undefined) return undefined;
  const { name, kind, status } = span;
  // An echo is as long as the names in it; tries are told by ours only.
  const {
    key: _key,
    node_id: _node,
    'guid:x-request-id': _id,
    response_size: _size,
    'retry.attempt': _tries,
    'http.method': _method,
    ...attributes
  } = span.attributes;
  // Envoy's are all text, and of methods it tells the usual ones.
  return { name, kind, status, attributes: meant(Object.fromEntries(Object.entries(attributes).map(([attribute, value]) => [attribute, String(value)]))) };
}

/** Rows of `istio_requests_total` only one of them has. `split`: whom a weight has chosen is chance. */
function metered(counted: readonly string[], split: boolean): string[] {
  const rows = counted.map(
    (text) => new Set([...text.matchAll(/^(?:envoy_)?istio_requests_total\{(.*)\} \d+$/gm)].map(([, labels = '']) => rowOf(labels, split))),
  );
  const only = (i: number): string[] => [...(rows[i] ?? [])].filter((row) => rows[1 - i]?.has(row) === false);
  return [...only(0).map((r) => `metrics of ours ${r}`), ...only(1).map((r) => `metrics of Envoy ${r}`)];
}

/** Without what nothing says here (an inbound service, a certificate), and what Envoy cannot tell of hosts nobody knows. */
function rowOf(labels: string, split: boolean): string {
  const told = [...labels.matchAll(/(\w+)="([^"]*)"/g)].flatMap(([, name = '', v = '']) =>
    ['', '-', 'unknown', 'latest'].includes(v) ? [] : [`${name}=${v}`],
  );
  const hidden = split || /BlackHole|reporter="destination"/.test(labels) ? /^destination_(service|principal)/ : /^$/;
  return told
    .filter((label) => !hidden.test(label))
    .toSorted()
    .join(' ');
}

function logged(asked: readonly [Question, readonly string[]][], dir: string): string[] {
  const lines = PLANES.map((plane) => {
    // Ours escapes what may end a quoted field, and knows Latin-1 from UTF-8; a cookie for hashing is new each time.
    const written = readFileSync(join(dir, plane), 'utf8').replaceAll(/\\x(22|5c)/g, (_, hex: string) => (hex === '22' ? '"' : '\\'));
    const text = written
      .replaceAll('\ufffd', 'é')
      .replaceAll(/\ba="[0-9a-f]{16}"/g, 'a=<made>')
      .trimEnd()
      .split('\n');
    return new Map(text.map((line) => [line.split('\t')[0] ?? '', line.split('\t').slice(1)]));
  });
  return asked.flatMap(([q, keys]) => {
    const [left, right] = keys.map((key, i) => lines[i]?.get(key));
    // Whom a weight has chosen is chance. A path with a fragment Envoy refuses before it has looked at the headers, and one that held a
    // token it writes anew.
    if (left?.[4] !== right?.[4] || (q.step.kind === 'http' && /#|token=/.test(q.step.path ?? ''))) return [];
    const differing = differences(left, right);
    return differing.length === 0 ? [] : [`log ${differing.join('; ')}\n  asked ${JSON.stringify(q)}`];
  });
}

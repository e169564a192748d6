// A runtime with one listener and the pieces tests change: routes, clusters, raw sockets to talk through it.

import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import type { OutlierRules } from '@weft/mesh-core/traffic';
import { decodeOutlier } from '../../config/decode-outlier.ts';
import { Fields } from '../../config/fields.ts';
import type {
  ClusterConfig,
  Endpoint,
  FilterChain,
  ForwardAction,
  HttpConnectionManager,
  ListenerConfig,
  Route,
  RouteConfig,
  VirtualHost,
} from '../../config/model.ts';
import type { ProxyRuntime, RequestRecord, RuntimeDeps } from '../../http/hooks.ts';
import { createProxyRuntime } from '../../http/runtime.ts';

const noOps = { add: [], remove: [] };

export function manager(overrides: Partial<HttpConnectionManager> = {}): HttpConnectionManager {
  return {
    statPrefix: 'test',
    routes: { rds: 'routes' },
    codec: 'auto',
    acceptHttp10: true,
    http2: { allowConnect: true },
    serverName: 'envoy',
    useRemoteAddress: false,
    forwardClientCert: 'sanitize',
    clientCertDetails: { subject: false, uri: true, dns: false },
    keepServerHeader: false,
    requestId: { generate: true, keepExternal: false, inResponse: false },
    host: { stripPort: 'none', stripDot: false },
    upgrades: new Map([['websocket', true]]),
    streamIdleTimeoutMs: 0,
    idleTimeoutMs: 0,
    drainTimeoutMs: 0,
    delayedCloseTimeoutMs: 1000,
    requestHeadersTimeoutMs: 0,
    requestTimeoutMs: 0,
    maxStreamDurationMs: 0,
    path: { normalize: false, mergeSlashes: false, escapedSlashes: 'keep' },
    internalAddresses: [],
    appendLocalOverload: false,
    accessLog: [],
    filters: [{ kind: 'router' }],
    ...overrides,
  };
}

export function chain(overrides: Partial<FilterChain> = {}): FilterChain {
  return { name: 'plain', match: { transportProtocol: 'any', applicationProtocols: [], serverNames: [] }, http: manager(), ...overrides };
}

export function listener(overrides: Partial<ListenerConfig> = {}): ListenerConfig {
  return { name: 'test', address: '127.0.0.1', port: 0, direction: 'outbound', chains: [chain()], inspectTls: false, ...overrides };
}

export function route(action: Partial<ForwardAction> | Route['action'], overrides: Partial<Route> = {}): Route {
  const forward: ForwardAction = {
    kind: 'forward',
    clusters: [{ name: 'app', weight: 1, requestHeaders: noOps, responseHeaders: noOps }],
    clusterNotFoundStatus: 503,
    timeoutMs: 0,
    hedgeOnPerTryTimeout: false,
    appendForwardedHost: false,
    hashPolicies: [],
    mirrors: [],
  };
  return {
    name: 'default',
    match: { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], query: [] },
    action: action.kind === 'redirect' || action.kind === 'direct-response' ? action : { ...forward, ...action },
    requestHeaders: noOps,
    responseHeaders: noOps,
    metadata: {},
    operation: '',
    filters: {},
    ...overrides,
  };
}

export function routes(list: readonly Route[], name = 'routes'): RouteConfig {
  return {
    name,
    virtualHosts: [virtualHost({ routes: list })],
    ignorePort: true,
    requestHeaders: noOps,
    responseHeaders: noOps,
    mostSpecificHeadersWin: false,
    internalOnlyHeaders: [],
  };
}

export function virtualHost(overrides: Partial<VirtualHost>): VirtualHost {
  return {
    name: 'all',
    domains: ['*'],
    routes: [],
    requestHeaders: noOps,
    responseHeaders: noOps,
    requireTls: false,
    attemptCount: true,
    attemptCountInResponse: false,
    timeoutRetryHeader: false,
    ...overrides,
  };
}

export function endpoint(port: number, overrides: Partial<Endpoint> = {}): Endpoint {
  return { address: '127.0.0.1', port, hostname: '', weight: 1, health: 'healthy', metadata: {}, ...overrides };
}

export function cluster(ports: readonly number[], overrides: Partial<ClusterConfig> = {}): ClusterConfig {
  const name = overrides.name ?? 'app';
  return {
    name,
    discovery: 'static',
    edsName: '',
    endpoints: {
      clusterName: name,
      overprovisioning: 140,
      weightedPriorityHealth: false,
      localities: [{ region: '', zone: '', subZone: '', priority: 0, weight: 0, endpoints: ports.map((port) => endpoint(port)) }],
    },
    connectTimeoutMs: 1000,
    lb: { kind: 'round-robin' },
    localityWeighted: false,
    hashByHostname: false,
    http: {
      protocol: 'http1',
      idleTimeoutMs: 0,
      maxRequestsPerConnection: 0,
      maxConnectionDurationMs: 0,
      maxStreamDurationMs: 0,
      allowConnect: true,
      maxConcurrentStreams: 0,
      autoSni: false,
      autoSanValidation: false,
    },
    circuitBreaker: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 },
    ignoreHealthOnHostRemoval: false,
    panicThresholdPercent: 0,
    tlsMatches: [],
    metadata: {},
    ...overrides,
  };
}

/** Envoy's defaults but for what is given, as in an OutlierDetection message. */
export function outlierRules(json: JsonObject): OutlierRules {
  return decodeOutlier(new Fields(json, 'outlier', []));
}

export interface Rig {
  runtime: ProxyRuntime;
  port: number;
  records: RequestRecord[];
  close(): Promise<void>;
}

/** A runtime listening with this configuration; records are copied. */
export async function startRig(
  options: { listener?: ListenerConfig; routes?: RouteConfig; clusters?: readonly ClusterConfig[]; deps?: Partial<RuntimeDeps> } = {},
): Promise<Rig> {
  const records: RequestRecord[] = [];
  const runtime = createProxyRuntime({
    clock: () => performance.now(),
    random: Math.random,
    onRequestEnd: (record) => records.push({ ...record, peer: { ...record.peer } }),
    ...options.deps,
  });
  for (const config of options.clusters ?? []) runtime.applyCluster(config);
  runtime.applyRoutes(options.routes ?? routes([route({})]));
  await runtime.applyListeners([options.listener ?? listener()]);
  return { runtime, port: runtime.stats().listeners[0]?.port ?? 0, records, close: () => runtime.close() };
}

export interface RawServer {
  port: number;
  /** Everything received, per connection. */
  received: string[];
  sockets: Socket[];
  close(): Promise<void>;
}

/** An upstream that answers bytes with bytes: `answer` is called per chunk. */
export async function startRaw(answer: (chunk: string, socket: Socket, connection: number) => void): Promise<RawServer> {
  const sockets: Socket[] = [];
  const received: string[] = [];
  const server = createTcpServer((socket) => {
    const index = sockets.push(socket) - 1;
    received.push('');
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      received[index] += chunk.toString('latin1');
      answer(chunk.toString('latin1'), socket, index);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received,
    sockets,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Sends bytes and collects the answer until the peer closes or `until` holds. */
export function exchangeRaw(port: number, bytes: string, until: (text: string) => boolean = () => false): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1' });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end of the answer within 5 s; got: ${JSON.stringify(text)}`));
    }, 5000);
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    socket.on('connect', () => socket.write(bytes, 'latin1'));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (until(text)) end();
    });
    socket.on('error', end);
    socket.on('close', end);
  });
}

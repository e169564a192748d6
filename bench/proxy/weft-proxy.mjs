// One hop of the embedded data path, as the bench runs it: PORT UPSTREAM. Needs the build (npx tsc -b apps/server).
import { createProxyRuntime } from '../../apps/server/dist/proxy/http/runtime.js';

const [port, upstream] = process.argv.slice(2).map(Number);
const noOps = { add: [], remove: [] };
const any = { applicationProtocols: [], serverNames: [], transportProtocol: 'any' };
let requests = 0;
const runtime = createProxyRuntime({ clock: () => performance.now(), random: Math.random, onRequestEnd: () => void requests++ });
runtime.applyCluster({
  name: 'app',
  discovery: 'static',
  edsName: '',
  connectTimeoutMs: 1000,
  lb: 'least-request',
  endpoints: {
    clusterName: 'app',
    localities: [
      {
        region: '',
        zone: '',
        subZone: '',
        priority: 0,
        weight: 0,
        endpoints: [{ address: '127.0.0.1', port: upstream, weight: 1, health: 'healthy', metadata: {} }],
      },
    ],
  },
  http: {
    protocol: 'http1',
    idleTimeoutMs: 0,
    maxRequestsPerConnection: 0,
    maxConnectionDurationMs: 0,
    maxConcurrentStreams: 0,
    autoSni: false,
    autoSanValidation: false,
  },
  circuitBreaker: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 },
  panicThresholdPercent: 0,
  tlsMatches: [],
  metadata: {},
});
const route = {
  name: 'default',
  match: { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], query: [] },
  action: {
    kind: 'forward',
    clusters: [{ name: 'app', weight: 1, requestHeaders: noOps, responseHeaders: noOps }],
    timeoutMs: 10_000,
    idleTimeoutMs: 0,
    hashPolicies: [],
    mirrors: [],
  },
  requestHeaders: noOps,
  responseHeaders: noOps,
  metadata: {},
  operation: '',
};
runtime.applyRoutes({ name: 'routes', virtualHosts: [{ name: 'all', domains: ['*'], routes: [route], requestHeaders: noOps, responseHeaders: noOps }] });
const http = {
  statPrefix: 'bench',
  routes: { rds: 'routes' },
  codec: 'auto',
  acceptHttp10: false,
  serverName: 'envoy',
  useRemoteAddress: false,
  forwardClientCert: 'sanitize',
  upgradeTypes: ['websocket'],
  streamIdleTimeoutMs: 0,
  idleTimeoutMs: 0,
  accessLog: [],
  filters: [{ kind: 'router' }],
};
await runtime.applyListeners([
  { name: 'bench', address: '127.0.0.1', port, direction: 'outbound', inspectTls: false, chains: [{ name: 'plain', match: any, http }] },
]);

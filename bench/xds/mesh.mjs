// The mesh of the benchmark: N services, each with two subsets, one workload and one VirtualService.
export const hostOf = (i) => `svc-${i}.bench.svc.cluster.local`;
const networking = 'networking.istio.io/v1';
const named = (apiVersion, kind, i, spec) => ({ apiVersion, kind, metadata: { name: `svc-${i}`, namespace: 'bench' }, spec });

export const splitOf = (i, weight) =>
  named(networking, 'VirtualService', i, {
    hosts: [`svc-${i}`],
    http: [
      {
        route: [
          { destination: { host: `svc-${i}`, subset: 'v1' }, weight },
          { destination: { host: `svc-${i}`, subset: 'v2' }, weight: 100 - weight },
        ],
      },
    ],
  });

/** A tenth of the services have subsets and a split; all have one workload. */
export function serviceObjects(i) {
  const workload = (version) => ({
    ...named(networking, 'WorkloadEntry', i, {
      address: `10.${i >> 8}.${i & 255}.${version === 'v1' ? 1 : 2}`,
      ports: { http: 8080 },
      labels: { app: `svc-${i}`, version, 'security.istio.io/tlsMode': 'istio' },
      serviceAccount: `svc-${i}`,
    }),
    metadata: { name: `svc-${i}-${version}`, namespace: 'bench' },
  });
  const plain = [named('v1', 'Service', i, { selector: { app: `svc-${i}` }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] }), workload('v1')];
  if (i % 10 !== 0) return plain;
  const subsets = ['v1', 'v2'].map((version) => ({ name: version, labels: { version } }));
  return [...plain, workload('v2'), named(networking, 'DestinationRule', i, { host: `svc-${i}`, subsets }), splitOf(i, 90)];
}

/** Upstreams of one proxy: svc-0, which everybody calls, and nine others. */
export const upstreamsOf = (i, services) =>
  [...new Set([0, ...Array.from({ length: 9 }, (_, k) => (i * 9 + k * 101 + 1) % services)])].map((target, k) => ({
    host: hostOf(target),
    port: 80,
    listenPort: 20_000 + k,
  }));

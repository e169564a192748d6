// The calls of Istio's own simulation tests (shared/corpus), answered by our translation. What Weft does not serve is named
// with its reason and counted; the rest must agree.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { MeshObject, ProxyNode } from '@weft/mesh-core/model';
import { TYPE_URL } from '@weft/mesh-core/xds';
import { decodeListener } from '../../src/proxy/config/decode.ts';
import type { FilterChain } from '../../src/proxy/config/model.ts';
import { proxy, readObjects, resourcesOf } from './objects.ts';
import { routeConfigOf, simulate } from './simulate.ts';

const corpus = process.env['WEFT_CORPUS'] ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../../../../shared/corpus');
const present = existsSync(join(corpus, 'istio'));
if (!present) console.warn(`skipped: Istio's conformance corpus is not at ${corpus}; set WEFT_CORPUS`);
const json = <T>(file: string): T => JSON.parse(readFileSync(join(corpus, 'istio', file), 'utf8')) as T;

interface Call {
  Port?: number;
  Protocol?: 'http' | 'http2' | 'tcp';
  TLS?: 'plaintext' | 'tls' | 'mtls';
  Alpn?: string;
  Sni?: string;
  Address?: string;
  HostHeader?: string;
  Path?: string;
  CallMode?: 'inbound';
}
interface Result {
  Error?: string | null;
  ClusterMatched?: string;
  VirtualHostMatched?: string;
  RouteMatched?: string;
  RouteConfigMatched?: string;
}
interface Calls {
  proxy: Pick<ProxyNode, 'namespace'> & { type: ProxyNode['role']; labels?: Record<string, string> };
  calls: { Name: string; Call: Call; Result: Result }[];
}

/** Files whose answers hang on something Weft has no counterpart of. */
const FILES: Readonly<Record<string, string>> = {
  'externalnameservices-02': 'a Service without ports (ExternalName) is not taken',
  'gatewayservices-01': 'Gateways are bound by their selector, not by the annotation of a gateway Service',
  'gatewayservices-02': 'Gateways are bound by their selector, not by the annotation of a gateway Service',
  'gatewayservices-04': 'Gateways are bound by their selector, not by the annotation of a gateway Service',
  'disableporttranslation-01': 'a gateway opens the port it declares: no Service in front translates it',
  'disableporttranslation-02': 'a gateway opens the port it declares: no Service in front translates it',
  'inboundsidecartlsmodes-01': 'TLS settings of a Sidecar ingress are not served',
  'inboundsidecartlsmodes-02': 'TLS settings of a Sidecar ingress are not served',
  'inboundsidecartlsmodes-03': 'TLS settings of a Sidecar ingress are not served',
  'inboundsidecartlsmodes-04': 'TLS settings of a Sidecar ingress are not served',
  'inboundsidecartlsmodes-05': 'TLS settings of a Sidecar ingress are not served',
  'serviceentry-02': 'destination addresses: without iptables a sidecar does not see them',
  'serviceentry-03': 'destination addresses: without iptables a sidecar does not see them',
};

function unserved(file: string, call: Call, { role, inbound: declared }: ProxyNode): string | undefined {
  if (FILES[file] !== undefined) return FILES[file];
  const { name } = declared.find((p) => p.listenPort === call.Port) ?? {};
  if (name === 'auto' && (call.Protocol === 'tcp' || (call.TLS ?? 'plaintext') !== 'plaintext'))
    return 'ports whose protocol is sniffed have tests of their own';
  if (call.CallMode === 'inbound')
    return declared.some((p) => p.listenPort === call.Port) ? undefined : 'ports that are not declared: without iptables they do not reach a sidecar';
  if (role === 'sidecar' && (call.Protocol !== 'http' || call.TLS !== 'plaintext'))
    return 'destination addresses: without iptables a sidecar does not see them';
  if (role === 'router' && (call.Protocol !== 'http' || call.TLS === 'tls' || call.TLS === 'mtls'))
    return 'TLS and TCP servers of gateways have tests of their own';
  return undefined;
}

interface Answer {
  error: string;
  cluster: string;
  virtualHost: string;
  route: string;
  routeConfig: string;
}
const failed = (error: string): Answer => ({ error, cluster: '', virtualHost: '', route: '', routeConfig: '' });

function answer(objects: readonly MeshObject[], node: ProxyNode, call: Call): Answer {
  const set = resourcesOf(objects, node);
  const port = call.Port ?? 80;
  if (call.CallMode === 'inbound') {
    const name = `virtualInbound_${port}`;
    const resource = set[TYPE_URL.listener].get(name);
    return resource === undefined ? failed('ErrNoListener') : inbound(decodeListener(resource.body, name).chains, call);
  }
  const sidecar = node.role === 'sidecar';
  const host = call.HostHeader ?? '';
  const outcome = simulate(set, sidecar ? 'http_proxy' : routeConfigOf(set, port), { host: sidecar ? `${host}:${port}` : host, path: call.Path ?? '/' });
  return {
    error: outcome.error,
    // To Istio a host nobody knows is passed on; here it meets whatever stands for unknown hosts.
    cluster: outcome.virtualHost === 'block_all' || outcome.virtualHost === 'allow_any' ? 'PassthroughCluster' : (outcome.clusters[0]?.cluster ?? ''),
    virtualHost: outcome.virtualHost,
    route: String(outcome.route?.['name'] ?? ''),
    routeConfig: outcome.routeConfig,
  };
}

/** A connection to a declared port: which chain takes it, and whether what it says suits the chain. */
function inbound(chains: readonly FilterChain[], { TLS: tls = 'plaintext', Protocol: protocol }: Call): Answer {
  const secure = tls !== 'plaintext';
  const chain = chains.find((c) => c.match.transportProtocol === 'any' || (c.match.transportProtocol === 'tls') === secure);
  if (chain === undefined) return failed('ErrNoFilterChain');
  if (chain.tls?.requireClientCertificate === true && tls === 'tls') return failed('ErrMTLSError');
  const cluster = (name: string | undefined, virtualHost: string): Answer => ({ ...failed(''), cluster: name ?? '', virtualHost });
  if (chain.http === undefined) return cluster(chain.tcp?.clusters[0]?.name, '');
  if (protocol === 'tcp' || (secure && chain.tls === undefined)) return failed('ErrProtocolError');
  const routes = 'inline' in chain.http.routes ? chain.http.routes.inline : undefined;
  const action = routes?.virtualHosts[0]?.routes[0]?.action;
  return cluster(action?.kind === 'forward' ? action.clusters[0]?.name : '', routes?.virtualHosts[0]?.name ?? '');
}

/** The tests of Istio run without a domain: `a.default` is all there is of a short name. */
const short = (name: string): string => name.replace('.svc.cluster.local', '');

test.skipIf(!present)("calls of Istio's simulation tests end where Istio says", () => {
  const reasons = new Map<string, number>();
  const different: object[] = [];
  let same = 0;
  for (const { file, calls: callsFile } of json<{ file: string; calls: string }[]>('simulation-index.json')) {
    const name = file.replace(/^simulation\/|\.yaml$/g, '');
    const { objects, unserved: kinds } = readObjects(readFileSync(join(corpus, 'istio', file), 'utf8'));
    const { proxy: spec, calls } = json<Calls>(callsFile);
    for (const test of calls) {
      const node = proxy({ role: spec.type, namespace: spec.namespace, labels: spec.labels ?? {}, inbound: declaredPorts(objects) });
      const reason = kinds.length > 0 ? `kind ${kinds.join(', ')} is not served` : unserved(name, test.Call, node);
      if (reason !== undefined) {
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
        continue;
      }
      const got = answer(objects, node, test.Call);
      const { Error: error, ClusterMatched, VirtualHostMatched, RouteMatched, RouteConfigMatched } = test.Result;
      const wanted = {
        error: error ?? '',
        cluster: ClusterMatched,
        virtualHost: VirtualHostMatched,
        route: RouteMatched,
        routeConfig: spec.type === 'router' ? RouteConfigMatched : undefined,
      };
      const wrong = Object.entries(wanted).filter(
        ([key, value]) => value !== undefined && (value !== '' || key === 'error') && short(got[key as keyof Answer]) !== short(value),
      );
      if (wrong.length === 0) same += 1;
      else different.push({ file: name, call: test.Name, wanted: Object.fromEntries(wrong), got });
    }
  }
  const left = [...reasons].map(([reason, count]) => `  ${count} ${reason}`);
  console.log(`Istio's simulation: ${same} calls agree, ${different.length} differ; not served:\n${left.join('\n')}`);
  expect(different).toEqual([]);
  expect(same).toBeGreaterThan(45);
});

/** Ports of the workload at 1.1.1.1: those of the ServiceEntry it is an endpoint of, or of its Sidecar. */
function declaredPorts(objects: readonly MeshObject[]): ProxyNode['inbound'] {
  const ports = new Map<number, string>();
  for (const { kind, spec } of objects as MeshObject<{
    ports?: { number: number; name: string; protocol?: string }[];
    ingress?: { port: { number: number; name: string; protocol?: string } }[];
  }>[]) {
    const list = kind === 'ServiceEntry' ? (spec.ports ?? []) : kind === 'Sidecar' ? (spec.ingress ?? []).map((i) => i.port) : [];
    for (const { number, name, protocol } of list) ports.set(number, (protocol ?? name).toLowerCase());
  }
  return [...ports].map(([port, name]) => ({ name, servicePort: port, listenPort: port, appPort: port }));
}

// AuthorizationPolicies with action CUSTOM against the extension providers they name: where one cannot be asked, everything the policy
// is for is denied.

import { type ExtensionProvider, type MeshObject, type Problem, DEFAULT_MESH_SETTINGS, unresolved } from '../model/index.ts';
import { selectedBy } from './analyze-authorization.ts';
import { type Mesh, problem, resolveHost, visible } from './analyze-mesh.ts';
import type { AuthorizationPolicySpec } from './authorization-policy.ts';
import { providerErrors } from './extension-providers.ts';
import { isMeshConfig, readMeshConfig } from './mesh-config.ts';
import { egressHosts, isNamed, namedScopes, sidecarInForce } from './sidecar-in-force.ts';
import { matches } from './label-index.ts';

type Policy = MeshObject<AuthorizationPolicySpec>;

const AT = 'spec.provider.name';

export function extensionProviderProblems(objects: readonly MeshObject[], mesh: Mesh): Problem[] {
  const config = objects.find((o) => isMeshConfig(o, DEFAULT_MESH_SETTINGS.rootNamespace));
  const text = (config?.spec as { data?: Record<string, string> } | undefined)?.data?.['mesh'];
  const { extensionProviders: all = [] } = text === undefined ? {} : readMeshConfig(text).settings;
  const policies = mesh.authorizations.filter(({ spec }) => spec.action === 'CUSTOM');
  return [
    ...all.flatMap((provider) => {
      const errors = providerErrors(provider);
      return errors.length === 0 || config === undefined
        ? []
        : [problem(config, 'error', 'WEFT_BAD_PROVIDER', 'data.mesh', `extensionProviders: ${provider.name} cannot be asked: ${errors.join('; ')}.`)];
    }),
    ...policies.flatMap((policy) => {
      const name = policy.spec.provider?.name ?? '';
      const provider = all.find((p) => p.name === name);
      if (provider === undefined) return [unresolved(problem(policy, 'error', 'WEFT_PROVIDER_UNKNOWN', AT, unknown(name, all)))];
      const errors = providerErrors(provider);
      return errors.length > 0
        ? [unresolved(problem(policy, 'error', 'WEFT_BAD_PROVIDER', AT, `${DENIED}: ${name} cannot be asked: ${errors.join('; ')}.`))]
        : askedProblems(policy, provider, mesh);
    }),
    ...policies.flatMap((policy) => mixedProblems(policy, policies, mesh)),
  ];
}

const DENIED = 'Everything this policy is for is denied';

function unknown(name: string, all: readonly ExtensionProvider[]): string {
  const known = all.length === 0 ? 'has none' : `has ${all.map((p) => p.name).join(', ')}`;
  return `${DENIED}: ${name} is no extension provider that can be asked. Add it to extensionProviders of the MeshConfig in ConfigMap istio-system/istio, which ${known}.`;
}

interface Port {
  port: number;
  /** As it is declared. */
  protocol: string;
}

/** A service that may be meant, with its ports. */
interface Candidate {
  namespace: string;
  ports: readonly Port[];
  selector: Readonly<Record<string, string>> | undefined;
  exportTo?: readonly string[] | undefined;
}

function candidates(host: string, mesh: Mesh): Candidate[] {
  const service = mesh.services.get(host);
  const entries = mesh.serviceEntries.filter(({ spec }) => spec.hosts.includes(host));
  return [
    ...(service === undefined
      ? []
      : [
          {
            namespace: service.metadata.namespace,
            ports: service.spec.ports.map((p) => ({ port: p.port, protocol: p.appProtocol ?? p.name ?? '' })),
            selector: service.spec.selector,
          },
        ]),
    ...entries.map(({ spec, metadata }) => ({
      namespace: metadata.namespace,
      ports: (spec.ports ?? []).map((p) => ({ port: p.number, protocol: p.protocol ?? '' })),
      selector: spec.workloadSelector?.labels,
      exportTo: spec.exportTo,
    })),
  ];
}

/** What a provider that is well described can still lack. */
function askedProblems(policy: Policy, provider: ExtensionProvider, mesh: Mesh): Problem[] {
  const { name, envoyExtAuthzHttp: http } = provider;
  const { service: written, port } = http ?? provider.envoyExtAuthzGrpc ?? { service: '', port: 0 };
  const found = (severity: Problem['severity'], code: string, message: string): Problem => problem(policy, severity, code, AT, message);
  const [scope, host = written] = written.includes('/') ? written.split('/') : [undefined];
  const all = candidates(host, mesh);
  const there = all.filter(({ namespace }) => scope === undefined || scope === namespace);
  const homes = [...new Set(there.map((c) => c.namespace))];
  if (homes.length === 0) {
    const full = candidates(resolveHost(host, policy.metadata.namespace), mesh).length > 0 ? ' Write its host in full.' : '';
    return [unresolved(found('error', 'WEFT_PROVIDER_SERVICE', `${DENIED}: service ${written} of extension provider ${name} is not there.${full}`))];
  }
  if (homes.length > 1)
    return [
      found('error', 'WEFT_PROVIDER_SERVICE', `${DENIED}: service ${written} of extension provider ${name} is in ${homes.join(', ')}: write namespace/host.`),
    ];
  const listed = there.flatMap((c) => c.ports).find((p) => p.port === port);
  const instead = (http ?? provider.envoyExtAuthzGrpc)?.failOpen === true ? 'nobody is asked and everything passes' : DENIED.toLowerCase();
  if (listed === undefined) {
    return [unresolved(found('error', 'WEFT_PROVIDER_SERVICE', `Service ${written} of extension provider ${name} has no port ${port}, so ${instead}.`))];
  }
  const hidden = hides(policy, host, there, mesh);
  if (hidden !== undefined)
    return [unresolved(found('error', 'WEFT_PROVIDER_SERVICE', `Service ${written} of extension provider ${name} is ${hidden}, so ${instead}.`))];
  return [
    ...(http === undefined && !/^(grpc|http2|kubernetes\.io\/h2c)/i.test(listed.protocol)
      ? [found('warning', 'WEFT_PROVIDER_PROTOCOL', `Port ${port} of ${written} is not declared as gRPC (${name} is asked over gRPC): name it grpc.`)]
      : []),
    ...(http === undefined ? [] : unaskedPorts(policy, name, mesh).map((message) => found('warning', 'WEFT_TCP_UNASKED', message))),
    ...(there.some((c) => asksItself(policy, c, mesh))
      ? [found('warning', 'WEFT_PROVIDER_ASKED', `Selects the workloads of ${written} too: with a sidecar ${name} is asked whether it may be asked.`)]
      : []),
  ];
}

/** Why proxies this policy is for have no cluster of the service. */
function hides(policy: Policy, host: string, there: readonly Candidate[], mesh: Mesh): string | undefined {
  const { namespace } = policy.metadata;
  const { rootNamespace } = DEFAULT_MESH_SETTINGS;
  if (namespace !== rootNamespace && !there.some((c) => visible(c.exportTo, c.namespace, namespace))) return `not exported to ${namespace}`;
  for (const { metadata, spec } of selectedBy(policy, mesh)) {
    const sidecar = sidecarInForce(mesh.sidecars, { namespace: metadata.namespace, labels: spec.labels ?? {} }, rootNamespace);
    const scopes = namedScopes(egressHosts(sidecar), metadata.namespace);
    if (there.some((c) => isNamed({ host, namespace: c.namespace }, scopes))) continue;
    return `not among the egress hosts of Sidecar ${sidecar?.metadata.namespace ?? ''}/${sidecar?.metadata.name ?? ''}, which ${metadata.name} has`;
  }
  return undefined;
}

/** Providers that speak HTTP are not asked about connections. */
function unaskedPorts(policy: Policy, name: string, mesh: Mesh): string[] {
  const selected = selectedBy(policy, mesh);
  const services = [...mesh.services.values()].filter(
    ({ metadata, spec }) =>
      Object.keys(spec.selector ?? {}).length > 0 && selected.some((w) => w.metadata.namespace === metadata.namespace && matches(w.spec.labels, spec.selector)),
  );
  const open = services.flatMap(({ metadata, spec }) =>
    spec.ports.filter((p) => /^(tcp|tls|https|mongo|mysql|redis)(-|$)/i.test(p.appProtocol ?? p.name ?? '')).map((p) => `${p.port} of ${metadata.name}`),
  );
  return open.length === 0 ? [] : [`${name} speaks HTTP and is not asked about connections, so these pass unasked: port ${open.join(', ')}.`];
}

function asksItself(policy: Policy, { selector, namespace }: Candidate, mesh: Mesh): boolean {
  return Object.keys(selector ?? {}).length > 0 && selectedBy(policy, mesh).some((w) => w.metadata.namespace === namespace && matches(w.spec.labels, selector));
}

/** A workload asks one provider: policies with different ones deny all they are for. */
function mixedProblems(policy: Policy, all: readonly Policy[], mesh: Mesh): Problem[] {
  const own = new Set(selectedBy(policy, mesh));
  const other = all.find((p) => p.spec.provider?.name !== policy.spec.provider?.name && (nested(p, policy) || selectedBy(p, mesh).some((w) => own.has(w))));
  if (other === undefined) return [];
  const { namespace, name } = other.metadata;
  const message = `${DENIED}: ${namespace}/${name} is for the same workloads and asks ${other.spec.provider?.name ?? ''}; a workload can ask one provider only.`;
  return [problem(policy, 'error', 'WEFT_PROVIDERS_DIFFER', AT, message)];
}

/** Whatever one of them is for, the other is. */
function nested({ metadata: a, spec }: Policy, { metadata: b, spec: other }: Policy): boolean {
  const [one, two] = [reachOf(spec), reachOf(other)];
  if (a.namespace !== b.namespace && ![a.namespace, b.namespace].includes(DEFAULT_MESH_SETTINGS.rootNamespace)) return false;
  // Of what runs for a Gateway nothing is known here but its name.
  const all = (reach: Reach): boolean => reach.targets.length === 0 && Object.keys(reach.labels).length === 0;
  if (one.targets.length + two.targets.length > 0)
    return all(one) || all(two) || (a.namespace === b.namespace && one.targets.some((name) => two.targets.includes(name)));
  return matches(one.labels, two.labels) || matches(two.labels, one.labels);
}

interface Reach {
  labels: Readonly<Record<string, string>>;
  /** Gateways of the policy's namespace. */
  targets: readonly string[];
}

function reachOf({ selector, targetRef, targetRefs = [] }: AuthorizationPolicySpec): Reach {
  return { labels: selector?.matchLabels ?? {}, targets: [...targetRefs, ...(targetRef === undefined ? [] : [targetRef])].map((t) => t.name) };
}

// Ingresses against the rest of the mesh: whether anybody serves them, where their paths lead, which certificates stand for nothing.

import { type MeshObject, type MeshSettings, type Problem, refOf, unresolved } from '../model/index.ts';
import { type Mesh, hostMatches, problem, resolveHost } from './analyze-mesh.ts';
import { NO_EFFECT } from './analyze-no-effect.ts';
import { unservedReason } from './ingress-class.ts';
import { CLASS_ANNOTATION, type IngressBackend, type IngressSpec } from './ingress.ts';
import { nearest } from './nearest.ts';

type Ingress = MeshObject<IngressSpec>;

export function ingressProblems(mesh: Mesh, settings: MeshSettings): Problem[] {
  const served: Ingress[] = [];
  const problems: Problem[] = [];
  for (const ingress of mesh.ingresses) {
    const reason = unservedReason(ingress, mesh.ingressClasses.get(ingress.spec.ingressClassName ?? ''), settings);
    if (reason === undefined) served.push(ingress);
    else problems.push(unresolved(problem(ingress, 'warning', 'WEFT_INGRESS_CLASS', placeOfClass(ingress), `No gateway serves this Ingress: ${reason}.`)));
  }
  return [...problems, ...served.flatMap((ingress) => [...backendProblems(ingress, mesh), ...withoutEffect(ingress)]), ...certificatesOfOthers(served)];
}

function placeOfClass({ metadata, spec }: Ingress): string {
  if (metadata.annotations?.[CLASS_ANNOTATION] !== undefined) return `metadata.annotations["${CLASS_ANNOTATION}"]`;
  return spec.ingressClassName === undefined ? 'spec' : 'spec.ingressClassName';
}

function backendProblems(ingress: Ingress, mesh: Mesh): Problem[] {
  return (ingress.spec.rules ?? []).flatMap(({ http }, i) =>
    (http?.paths ?? []).flatMap(({ backend }, j) => backendProblem(ingress, backend, `spec.rules[${i}].http.paths[${j}].backend.service`, mesh) ?? []),
  );
}

function backendProblem(ingress: Ingress, { service }: IngressBackend, path: string, { services }: Mesh): Problem | undefined {
  if (service === undefined) return undefined;
  const { namespace } = ingress.metadata;
  const found = services.get(resolveHost(service.name, namespace));
  if (found === undefined) {
    const names = [...services.values()].filter((s) => s.metadata.namespace === namespace).map((s) => s.metadata.name);
    const use = nearest(service.name, names);
    return unresolved(
      problem(
        ingress,
        'error',
        'KIA1101',
        `${path}.name`,
        `There is no Service ${service.name} in ${namespace}: requests to it end in 503.${use === undefined ? '' : ` There is ${use}.`}`,
        use === undefined ? undefined : { label: `Use ${use}`, value: use },
      ),
    );
  }
  const { name, number } = service.port;
  const { ports } = found.spec;
  if (ports.some((p) => (name === undefined ? p.port === number : p.name === name))) return undefined;
  const has = ports.map((p) => (p.name === undefined ? p.port : `${p.name} ${p.port}`)).join(', ');
  const effect = name === undefined ? 'requests to it end in 503' : 'this path is left out';
  return unresolved(problem(ingress, 'error', 'KIA1101', `${path}.port`, `Service ${service.name} has no port ${name ?? number}: ${effect}. It has ${has}.`));
}

function withoutEffect(ingress: Ingress): Problem[] {
  const told = (path: string, why: string): Problem => problem(ingress, 'info', NO_EFFECT, path, `Has no effect here: ${why}.`);
  return [
    ...(ingress.spec.tls ?? []).flatMap(({ secretName }, i) => (secretName ? [] : [told(`spec.tls[${i}]`, 'it names no Secret')])),
    ...(ingress.spec.rules ?? []).flatMap(({ http }, i) => (http === undefined ? [told(`spec.rules[${i}]`, 'it has no paths')] : [])),
  ];
}

/** Rules of several Ingresses for one host go with the oldest of these, and its certificates: that of a younger one leads nowhere. */
function certificatesOfOthers(served: readonly Ingress[]): Problem[] {
  const owners = new Map<string, Ingress>();
  const problems: Problem[] = [];
  for (const ingress of served)
    for (const { host, http } of ingress.spec.rules ?? []) {
      if (http === undefined || !host) continue;
      const owner = owners.get(host) ?? ingress;
      owners.set(host, owner);
      const at = certificateFor(ingress, host);
      if (owner === ingress || at === undefined || certificateFor(owner, host) !== undefined) continue;
      const { namespace, name } = refOf(owner);
      const message = `The rules for ${host} are served with those of Ingress ${namespace}/${name}, which is older and has no certificate for it: over TLS ${host} answers 404. Name the certificate there.`;
      problems.push(problem(ingress, 'warning', 'WEFT_INGRESS_CERTIFICATE', `spec.tls[${at}]`, message));
    }
  return problems;
}

function certificateFor({ spec }: Ingress, host: string): number | undefined {
  const at = (spec.tls ?? []).findIndex(({ hosts = [], secretName }) => secretName && (hosts.length === 0 || hosts.some((h) => hostMatches(h, host))));
  return at < 0 ? undefined : at;
}

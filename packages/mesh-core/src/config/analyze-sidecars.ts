// What of a Sidecar has no effect here: nothing is intercepted, so only ports that are opened are ports.

import type { MeshObject, Problem } from '../model/index.ts';
import { type Mesh, problem } from './analyze-mesh.ts';
import { NO_EFFECT } from './analyze-no-effect.ts';
import type { SidecarSpec } from './sidecar.ts';
import { matches } from './label-index.ts';

type Sidecar = MeshObject<SidecarSpec>;

export function sidecarProblems(sidecar: Sidecar, mesh: Mesh): Problem[] {
  const ports = portsOf(sidecar, mesh);
  const found = (path: string, message: string): Problem => problem(sidecar, 'warning', NO_EFFECT, path, message);
  const ingress = (sidecar.spec.ingress ?? []).flatMap(({ port, captureMode, defaultEndpoint, tls }, i) => {
    const path = `spec.ingress[${i}]`;
    const known = ports === undefined || ports.has(port.number);
    return [
      ...(known || captureMode !== 'IPTABLES'
        ? []
        : [found(`${path}.captureMode`, `Nothing is intercepted here, so port ${port.number} is not opened: use NONE.`)]),
      ...(known || captureMode === 'IPTABLES' || defaultEndpoint
        ? []
        : [
            found(
              `${path}.defaultEndpoint`,
              `Port ${port.number} is none of the workload's own, and is opened only with a defaultEndpoint to send requests to.`,
            ),
          ]),
      ...(tls === undefined || switchesOff(sidecar, mesh)
        ? []
        : [found(`${path}.tls`, "TLS of its own takes the place of the mesh's only where a PeerAuthentication has mode DISABLE for the port.")]),
    ];
  });
  const egress = (sidecar.spec.egress ?? []).flatMap(({ port, bind, captureMode }, i) => {
    const path = `spec.egress[${i}]`;
    if (bind?.startsWith('unix://') === true) return [found(`${path}.bind`, 'Proxies here listen on addresses with a port, not on unix sockets.')];
    if (port === undefined)
      return bind || captureMode === 'NONE' ? [found(`${path}.${bind ? 'bind' : 'captureMode'}`, 'Only with a port is anything opened.')] : [];
    if (captureMode !== 'IPTABLES' && (bind || captureMode === 'NONE')) return [];
    return [
      found(`${path}.port`, `Nothing is intercepted here, so port ${port.number} is not opened: set bind, or captureMode NONE. Its hosts count all the same.`),
    ];
  });
  return [...ingress, ...egress];
}

/** Ports the selected workloads have, by the numbers of their entries and of their Services; undefined when no workload is known. */
function portsOf({ metadata, spec }: Sidecar, { workloadsWith, services }: Mesh): ReadonlySet<number> | undefined {
  const selected = workloadsWith(metadata.namespace, spec.workloadSelector?.labels);
  if (selected.length === 0) return undefined;
  const own = [...services.values()].filter(
    (s) =>
      s.metadata.namespace === metadata.namespace &&
      selected.some((w) => Object.keys(s.spec.selector ?? {}).length > 0 && matches(w.spec.labels, s.spec.selector)),
  );
  return new Set([
    ...selected.flatMap((w) => Object.values(w.spec.ports ?? {})),
    ...own.flatMap((s) => s.spec.ports.flatMap((p) => [p.port, ...(typeof p.targetPort === 'number' ? [p.targetPort] : [])])),
  ]);
}

function switchesOff({ metadata }: Sidecar, { policies }: Mesh): boolean {
  return policies.some(
    (p) =>
      (p.metadata.namespace === metadata.namespace || p.metadata.namespace === 'istio-system') &&
      [p.spec.mtls, ...Object.values(p.spec.portLevelMtls ?? {})].some((mtls) => mtls?.mode === 'DISABLE'),
  );
}

// Labels and annotations of Namespaces that Istio reads and Weft does not. What has an effect here are labels that
// Gateways select namespaces by (allowedRoutes), and these may be any.

import { DEFAULT_MESH_SETTINGS, type MeshObject, type Problem } from '../model/index.ts';
import { problem } from './analyze-mesh.ts';
import { NO_EFFECT } from './analyze-no-effect.ts';

interface Entry {
  why: string;
  /** A value that asks for what is so anyway. */
  unless?: string;
  /** The only namespace in which Istio reads it; elsewhere it does nothing in Istio either. */
  onlyIn?: string;
  /** Istio reads it of other objects only. */
  nowhere?: true;
}

const INJECTION = 'no sidecar is injected: weft run starts one with each workload';
const REVISION = 'there is one control plane, without revisions';
const WAYPOINT = 'no waypoint runs here';

const LABELS: Readonly<Record<string, Entry>> = {
  'istio-injection': { why: INJECTION },
  'istio.io/rev': { why: `${REVISION}, and ${INJECTION}` },
  'istio.io/dataplane-mode': { why: 'there is no ambient mode: weft run starts a sidecar with each workload', unless: 'none' },
  'istio.io/use-waypoint': { why: WAYPOINT, unless: 'none' },
  'istio.io/use-waypoint-namespace': { why: WAYPOINT },
  'istio.io/ingress-use-waypoint': { why: WAYPOINT, unless: 'false' },
  'topology.istio.io/network': { why: 'all workloads are in one network here', onlyIn: DEFAULT_MESH_SETTINGS.rootNamespace },
};
const ANNOTATIONS: Readonly<Record<string, Entry>> = {
  'networking.istio.io/traffic-distribution': { why: 'which endpoints are near is said by localityLbSetting, of a DestinationRule or the MeshConfig' },
  'networking.istio.io/exportTo': { why: 'it is read of Services: annotate these', nowhere: true },
};

export function namespaceProblems(namespace: MeshObject): Problem[] {
  const { labels = {}, annotations = {}, name } = namespace.metadata;
  const told = (place: string, values: Readonly<Record<string, string>>, entries: Readonly<Record<string, Entry>>): Problem[] =>
    Object.entries(values).flatMap(([key, value]) => {
      const entry = entries[key];
      if (entry === undefined || value === entry.unless) return [];
      const nowhere = entry.nowhere === true || (entry.onlyIn !== undefined && entry.onlyIn !== name);
      return [problem(namespace, nowhere ? 'info' : 'warning', NO_EFFECT, `metadata.${place}["${key}"]`, `Has no effect here: ${entry.why}.`)];
    });
  return [...told('labels', labels, LABELS), ...told('annotations', annotations, ANNOTATIONS)];
}

// The nouns every room shares: a configuration object in Kubernetes shape, a reference to one, and a problem found in one.

/** Metadata of a configuration object. `creationTimestamp` is RFC 3339; Istio's precedence rules depend on it. */
export interface ObjectMeta {
  name: string;
  namespace: string;
  uid?: string;
  /** Opaque. Compare for equality only. */
  resourceVersion?: string;
  /** Counts changes of `spec`. */
  generation?: number;
  creationTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** One configuration object as users write it. `spec` is the kind's own shape, unvalidated until parsed by config/. */
export interface MeshObject<Spec = unknown> {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec: Spec;
  status?: unknown;
}

/** Names one object; the API version is not part of its identity (v1 and v1beta1 are the same object). */
export interface ObjectRef {
  kind: string;
  namespace: string;
  name: string;
}

export type Severity = 'error' | 'warning' | 'info';

/** Something wrong (or doubtful) in a configuration object; every message names object, value and fix. */
export interface Problem {
  severity: Severity;
  /** Stable: `WEFT_...` for ours, `KIA1107` or `IST0101` where Kiali's or istioctl's code exists for the same finding. */
  code: string;
  message: string;
  ref?: ObjectRef;
  /** Field path in the object: `spec.http[0].route[1].weight`. */
  path?: string;
  /** 1-based place in the YAML text the object was read from, when it came from text. */
  line?: number;
  column?: number;
  endLine?: number;
  endColumn?: number;
  /** A repair the console can offer: replace the value at `path` with `value`. */
  fix?: { label: string; value: unknown };
  /** Refers to an object that is not there (yet). It is told, but refuses no write: objects may come in any order. */
  unresolved?: true;
}

/** Marks a finding as one that another object may yet mend. */
export function unresolved(problem: Problem): Problem {
  return { ...problem, unresolved: true };
}

/** Whether an object with this problem is not taken. */
export function refusesWrite(problem: { severity: Severity; unresolved?: true | undefined }): boolean {
  return problem.severity === 'error' && problem.unresolved !== true;
}

/** A short, stable text key of a reference: `VirtualService/bookinfo/reviews`. */
export function refKey(ref: ObjectRef): string {
  return `${ref.kind}/${ref.namespace}/${ref.name}`;
}

/** The reference of an object. */
export function refOf(object: MeshObject): ObjectRef {
  return { kind: object.kind, namespace: object.metadata.namespace, name: object.metadata.name };
}

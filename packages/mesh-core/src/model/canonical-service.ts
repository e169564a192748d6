// What a workload counts as in metrics and traces, as Istio reads it of its labels.

type Labels = Readonly<Record<string, string | undefined>>;

export function canonicalService(labels: Labels, workload: string): string {
  return labels['service.istio.io/canonical-name'] ?? (labels['app'] || workload);
}

export function canonicalRevision(labels: Labels): string {
  return labels['service.istio.io/canonical-revision'] ?? (labels['version'] || 'latest');
}

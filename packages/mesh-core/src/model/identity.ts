// Workload identity: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` as Istio forms it.

export interface Identity {
  trustDomain: string;
  namespace: string;
  serviceAccount: string;
}

export function spiffeId(identity: Identity): string {
  return `spiffe://${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`;
}

/** Undefined unless `id` has exactly Istio's form; no query, no trailing slash, nothing percent-encoded. */
export function parseSpiffeId(id: string): Identity | undefined {
  const match = /^spiffe:\/\/([a-z0-9.-]+)\/ns\/([a-z0-9-]+)\/sa\/([a-z0-9.-]+)$/.exec(id);
  if (match === null) return undefined;
  const [, trustDomain, namespace, serviceAccount] = match;
  if (trustDomain === undefined || namespace === undefined || serviceAccount === undefined) return undefined;
  return { trustDomain, namespace, serviceAccount };
}

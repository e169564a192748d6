// Parts several areas write the same way.

import { type ServiceSpec, service } from '../case.ts';

/** Application `a` as version v1 and `b` as v2. */
export const twoVersions = (name: string): ServiceSpec[] => [service(name, { app: 'a', version: 'v1' }, { app: 'b', version: 'v2' })];

/** The DestinationRule for both, ending with a document separator. */
export const subsets = (name: string): string => `
kind: DestinationRule
metadata: { name: ${name} }
spec: { host: ${name}, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
---`;

/** A DestinationRule with this traffic policy (flow YAML). */
export const policy = (name: string, trafficPolicy: string): string => `
kind: DestinationRule
metadata: { name: ${name} }
spec: { host: ${name}, trafficPolicy: ${trafficPolicy} }
`;

/** A VirtualService of one rule to the whole service, with these further fields of the rule (flow YAML, `{ ... }` left out). */
export const rule = (name: string, fields: string): string => `
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}]
  http: [{ route: [{ destination: { host: ${name} } }], ${fields} }]
`;

/** A service of the other client's namespace: application `b`, no sidecar. Ends with a document separator. */
export const elsewhere = (name: string, fields = ''): string => `
kind: Service
metadata: { name: ${name}, namespace: $OTHER${fields} }
spec: { selector: { app: ${name} }, ports: [{ name: http, port: 80 }] }
---
kind: WorkloadEntry
metadata: { name: ${name}-0, namespace: $OTHER }
spec: { address: 127.0.0.1, ports: { http: $PORT(b) }, labels: { app: ${name} } }
---`;

// Namespace and Service (core), WorkloadEntry (networking.istio.io), PeerAuthentication (security.istio.io).

import { z } from 'zod';
import { labels, portNumber, selector, uint32 } from './schema-parts.ts';

export const portName = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits and -');

/** A Namespace says what it says by its labels. */
export const namespaceSpec = z.looseObject({ finalizers: z.array(z.string()).optional() });

/** A Kubernetes Service carries many fields a mesh does not read; they are kept as they are. */
export const serviceSpec = z.looseObject({
  selector: labels.optional(),
  ports: z
    .array(
      z.looseObject({
        name: portName.optional(),
        port: portNumber,
        targetPort: z.union([portNumber, z.string()]).optional(),
        protocol: z.enum(['TCP', 'UDP', 'SCTP']).optional(),
        appProtocol: z.string().optional(),
      }),
    )
    .min(1, 'a Service needs at least one port')
    .superRefine((ports, context) => {
      const seen = new Set<string>();
      for (const [i, port] of ports.entries()) {
        if (ports.length > 1 && port.name === undefined)
          context.addIssue({ code: 'custom', path: [i, 'name'], message: 'a Service with several ports must name each' });
        if (port.name !== undefined && seen.has(port.name))
          context.addIssue({ code: 'custom', path: [i, 'name'], message: `port name ${port.name} is used twice` });
        if (port.name !== undefined) seen.add(port.name);
      }
    }),
});
export type ServiceSpec = z.infer<typeof serviceSpec>;

export const workloadAddress = z
  .string()
  .min(1)
  .max(253)
  .regex(/^(unix:\/\/(\/.*[^/]|@.+)|[A-Za-z0-9.:_-]+)$/, 'must be an IP address, a DNS name or unix:///absolute/path');
/** What a WorkloadEntry, a WorkloadGroup's template and a ServiceEntry's endpoint have in common. */
export const workloadFields = {
  ports: z.record(portName, portNumber).optional(),
  labels: labels.optional(),
  network: z.string().max(2_048).optional(),
  locality: z.string().max(2_048).optional(),
  weight: uint32.optional(),
  serviceAccount: z.string().max(253).optional(),
};

export const workloadEntrySpec = z
  .strictObject({ address: workloadAddress, ...workloadFields })
  .refine((w) => !w.address.startsWith('unix://') || Object.keys(w.ports ?? {}).length === 0, {
    path: ['ports'],
    message: 'a unix:// address has no ports: remove them',
  });
export type WorkloadEntrySpec = z.infer<typeof workloadEntrySpec>;

const mtls = z.strictObject({ mode: z.enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']).optional() });
export const peerAuthenticationSpec = z
  .strictObject({
    selector: selector.optional(),
    mtls: mtls.optional(),
    portLevelMtls: z
      .record(
        z
          .string()
          .regex(/^[1-9]\d{0,4}$/, 'keys are port numbers of the workload')
          .refine((port) => Number(port) <= 65_535, 'must be a port from 1 to 65535'),
        mtls,
      )
      .refine((ports) => Object.keys(ports).length > 0, 'must name at least one port')
      .optional(),
  })
  .refine((p) => p.portLevelMtls === undefined || Object.keys(p.selector?.matchLabels ?? {}).length > 0, {
    path: ['portLevelMtls'],
    message: 'portLevelMtls needs a selector',
  });
export type PeerAuthenticationSpec = z.infer<typeof peerAuthenticationSpec>;

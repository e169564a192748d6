// Gateway, GatewayClass and ReferenceGrant (gateway.networking.k8s.io), as the CRDs of the Gateway API take them.

import { z } from 'zod';
import { labels, portNumber, refuseDuplicates } from './schema-parts.ts';

const DOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const GROUP = new RegExp(`^$|${DOMAIN.source}`);
export const objectName = z.string().min(1).max(253);
export const namespaceName = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be the name of a namespace');
export const groupName = z.string().max(253).regex(GROUP, 'must be an API group like gateway.networking.k8s.io, or empty for the core group');
export const kindName = z
  .string()
  .max(63)
  .regex(/^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/, 'must be a kind, like Service');
export const sectionName = z.string().max(253).regex(DOMAIN, 'must be a DNS name: lower-case letters, digits, - and .');
export const gatewayHostname = z
  .string()
  .max(253)
  .regex(/^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 'must be a host name like www.example.com, or *.example.com');

const secretRef = z.strictObject({ group: groupName.optional(), kind: kindName.optional(), name: objectName, namespace: namespaceName.optional() });
const objectRef = z.strictObject({ group: groupName, kind: kindName, name: objectName, namespace: namespaceName.optional() });
const expression = z
  .strictObject({ key: z.string().min(1), operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']), values: z.array(z.string()).optional() })
  .refine(
    ({ operator, values = [] }) => (operator === 'In' || operator === 'NotIn' ? values.length > 0 : values.length === 0),
    'In and NotIn need values, Exists and DoesNotExist have none',
  );
const labelSelector = z.strictObject({ matchLabels: labels.optional(), matchExpressions: z.array(expression).optional() });
export type LabelSelector = z.infer<typeof labelSelector>;

const allowedRoutes = z.strictObject({
  namespaces: z.strictObject({ from: z.enum(['All', 'Selector', 'Same']).optional(), selector: labelSelector.optional() }).optional(),
  kinds: z
    .array(z.strictObject({ group: groupName.optional(), kind: kindName }))
    .max(8)
    .optional(),
});

export const tlsOptions = z.record(z.string().min(1).max(253), z.string().max(4_096)).refine((o) => Object.keys(o).length <= 16, 'takes at most 16 options');
const listenerTls = z
  .strictObject({
    mode: z.enum(['Terminate', 'Passthrough']).optional(),
    certificateRefs: z.array(secretRef).max(64).optional(),
    options: tlsOptions.optional(),
  })
  .refine(
    ({ mode = 'Terminate', certificateRefs = [], options = {} }) => mode !== 'Terminate' || certificateRefs.length > 0 || Object.keys(options).length > 0,
    'needs certificateRefs, or options, where mode is Terminate',
  );

const listener = z
  .strictObject({
    name: sectionName,
    hostname: gatewayHostname.or(z.literal('')).optional(),
    port: portNumber,
    protocol: z
      .string()
      .max(255)
      .regex(
        /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$/,
        'must be HTTP, HTTPS, TLS or TCP',
      ),
    tls: listenerTls.optional(),
    allowedRoutes: allowedRoutes.optional(),
  })
  .superRefine(({ protocol, tls, hostname }, context) => {
    const issue = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message });
    if (['HTTP', 'TCP', 'UDP'].includes(protocol) && tls !== undefined) issue(['tls'], `must be absent: protocol ${protocol} has no TLS; use HTTPS or TLS`);
    if (protocol === 'HTTPS' && tls?.mode === 'Passthrough') issue(['tls', 'mode'], 'must be Terminate for protocol HTTPS; use TLS to pass it through');
    if (protocol === 'TLS' && tls?.mode === undefined) issue(['tls', 'mode'], 'is required by protocol TLS: Terminate or Passthrough');
    if (['TCP', 'UDP'].includes(protocol) && hostname) issue(['hostname'], `must be absent: protocol ${protocol} knows no host names`);
  });

const address = z
  .strictObject({
    type: z
      .string()
      .min(1)
      .max(253)
      .regex(/^(Hostname|IPAddress|NamedAddress)$|\//, 'must be Hostname, IPAddress or NamedAddress')
      .optional(),
    value: z.string().max(253).optional(),
  })
  .refine(({ type, value }) => type !== 'Hostname' || !value || gatewayHostname.safeParse(value).success, 'must have a host name as value');

const validation = z.strictObject({
  caCertificateRefs: z.array(objectRef).min(1).max(16),
  mode: z.enum(['AllowValidOnly', 'AllowInsecureFallback']).optional(),
});
const clientTls = z.strictObject({ validation: validation.optional() });
const frontend = z.strictObject({
  default: clientTls,
  perPort: z
    .array(z.strictObject({ port: portNumber, tls: clientTls }))
    .max(64)
    .superRefine((ports, context) =>
      refuseDuplicates(
        ports.map((p) => String(p.port)),
        (i) => [i, 'port'],
        'port',
        context,
      ),
    )
    .optional(),
});

export const kubernetesGatewaySpec = z.strictObject({
  gatewayClassName: objectName,
  listeners: z
    .array(listener)
    .min(1, 'a Gateway needs at least one listener')
    .max(64)
    .superRefine((listeners, context) => {
      refuseDuplicates(
        listeners.map((l) => l.name),
        (i) => [i, 'name'],
        'listener name',
        context,
      );
      refuseDuplicates(
        listeners.map((l) => `${l.port}/${l.protocol}/${l.hostname ?? ''}`),
        (i) => [i],
        'listener of port, protocol and hostname',
        context,
      );
    }),
  addresses: z.array(address).max(16).optional(),
  infrastructure: z
    .strictObject({
      labels: z.record(z.string(), z.string()).optional(),
      annotations: z.record(z.string(), z.string()).optional(),
      parametersRef: z.strictObject({ group: groupName, kind: kindName, name: objectName }).optional(),
    })
    .optional(),
  allowedListeners: z
    .strictObject({
      namespaces: z.strictObject({ from: z.enum(['All', 'Selector', 'Same', 'None']).optional(), selector: labelSelector.optional() }).optional(),
    })
    .optional(),
  tls: z.strictObject({ backend: z.strictObject({ clientCertificateRef: secretRef.optional() }).optional(), frontend: frontend.optional() }).optional(),
});
export type KubernetesGatewaySpec = z.infer<typeof kubernetesGatewaySpec>;

export const gatewayClassSpec = z.strictObject({
  controllerName: z
    .string()
    .max(253)
    .regex(
      /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/,
      'must be a domain and a path, like istio.io/gateway-controller',
    ),
  parametersRef: objectRef.optional(),
  description: z.string().max(64).optional(),
});
export type GatewayClassSpec = z.infer<typeof gatewayClassSpec>;

export const referenceGrantSpec = z.strictObject({
  from: z
    .array(z.strictObject({ group: groupName, kind: kindName, namespace: namespaceName }))
    .min(1)
    .max(16),
  to: z
    .array(z.strictObject({ group: groupName, kind: kindName, name: objectName.optional() }))
    .min(1)
    .max(16),
});
export type ReferenceGrantSpec = z.infer<typeof referenceGrantSpec>;

// Sidecar (networking.istio.io): what a workload's proxy sees of the mesh, and what it does with unknown hosts.

import { z } from 'zod';
import { connectionPool } from './destination-rule.ts';
import { serverTls } from './gateway.ts';
import { destination } from './http-route.ts';
import { portName } from './other-kinds.ts';
import { hostName, ipAddress, labels, namespacedHost, portNumber, portProtocol, refuseDuplicates } from './schema-parts.ts';

const CAPTURE = ['DEFAULT', 'IPTABLES', 'NONE'] as const;
const UNIX = /^unix:\/\/(\/.*[^/]|@.+)$/;
const unixAddress = z.string().regex(UNIX, 'must be unix:///absolute/path');
const port = z.strictObject({
  number: portNumber,
  protocol: portProtocol.optional(),
  name: portName.or(z.literal('')).optional(),
  targetPort: portNumber.optional(),
});

const ingress = z
  .strictObject({
    port,
    bind: ipAddress.or(z.literal('')).optional(),
    captureMode: z.enum(CAPTURE).optional(),
    defaultEndpoint: z
      .string()
      .regex(/^((127\.0\.0\.1|0\.0\.0\.0|\[::1?\])?:\d{1,5}|unix:\/\/(\/.*[^/]|@.+)|)$/, 'must be 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT or unix:///path')
      .refine((text) => !/:\d+$/.test(text) || portNumber.safeParse(Number(text.slice(text.lastIndexOf(':') + 1))).success, 'must have a port from 1 to 65535')
      .optional(),
    tls: serverTls.optional(),
    connectionPool: connectionPool.optional(),
  })
  .superRefine(({ tls, port: { protocol } }, context) => {
    if (tls === undefined) return;
    const issue = (key: string, message: string): void => context.addIssue({ code: 'custom', path: ['tls', key], message });
    for (const key of ['subjectAltNames', 'httpsRedirect', 'credentialName', 'credentialNames', 'tlsCertificates'] as const)
      if (tls[key] !== undefined && tls[key] !== false && tls[key] !== '') issue(key, 'is not supported by Sidecars');
    if (tls.mode === 'ISTIO_MUTUAL' || tls.mode === 'AUTO_PASSTHROUGH')
      issue('mode', `cannot be ${tls.mode}; mutual TLS of the mesh is what PeerAuthentication decides`);
    if (!/^(HTTPS|TLS)$/i.test(protocol ?? '')) context.addIssue({ code: 'custom', path: ['tls'], message: 'is for ports of protocol HTTPS or TLS' });
  });

const egress = z
  .strictObject({
    port: port.extend({ number: z.number().int().min(0).max(65_535) }).optional(),
    bind: z.string().optional(),
    captureMode: z.enum(CAPTURE).optional(),
    hosts: z.array(namespacedHost).min(1, 'needs at least one host, like ./* or */*'),
  })
  .superRefine((listener, context) => {
    const issue = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message });
    if (listener.port === undefined) return;
    if (listener.port.number > 0) {
      if (Boolean(listener.bind) && !ipAddress.safeParse(listener.bind).success) issue(['bind'], 'must be an IP address');
      return;
    }
    if (!unixAddress.safeParse(listener.bind).success) issue(['bind'], 'must be unix:///absolute/path where the port is 0');
    if (listener.captureMode === 'IPTABLES') issue(['captureMode'], 'must be DEFAULT or NONE for a unix socket');
  });

export const sidecarSpec = z
  .strictObject({
    workloadSelector: z.strictObject({ labels: labels.optional() }).optional(),
    ingress: z
      .array(ingress)
      .superRefine((list, context) =>
        refuseDuplicates(
          list.map((l) => String(l.port.number)),
          (i) => [i, 'port', 'number'],
          'port',
          context,
        ),
      )
      .optional(),
    egress: z
      .array(egress)
      .superRefine((list, context) => {
        refuseDuplicates(
          list.map((l) => (l.port === undefined ? undefined : l.port.number === 0 ? l.bind : String(l.port.number))),
          (i) => [i, 'port', 'number'],
          'port',
          context,
        );
        const open = list.findIndex((l) => l.port === undefined);
        if (open >= 0 && open < list.length - 1)
          context.addIssue({ code: 'custom', path: [open], message: 'an egress listener without port must be the last one, and the only one' });
      })
      .optional(),
    inboundConnectionPool: connectionPool.optional(),
    outboundTrafficPolicy: z
      .strictObject({ mode: z.enum(['REGISTRY_ONLY', 'ALLOW_ANY']).optional(), egressProxy: destination.optional() })
      .superRefine(({ mode, egressProxy }, context) => {
        const issue = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message });
        if (egressProxy === undefined) return;
        if (mode !== 'ALLOW_ANY') issue(['egressProxy'], 'needs mode ALLOW_ANY');
        if (egressProxy.port === undefined) issue(['egressProxy', 'port'], 'is required');
        if (hostName.safeParse(egressProxy.host).success && egressProxy.host.includes('*')) issue(['egressProxy', 'host'], 'must not be a wildcard');
      })
      .optional(),
  })
  .refine(
    (s) => (s.egress?.length ?? 0) + (s.ingress?.length ?? 0) > 0 || s.outboundTrafficPolicy !== undefined || s.inboundConnectionPool !== undefined,
    'must have ingress, egress, outboundTrafficPolicy or inboundConnectionPool',
  );
export type SidecarSpec = z.infer<typeof sidecarSpec>;

// Gateway (networking.istio.io): the ports an ingress proxy opens, for which hosts, with which TLS.

import { z } from 'zod';
import { hostName, labels, portNumber, refuseDuplicates } from './schema-parts.ts';

const MODES = ['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'] as const;
const PROTOCOLS = ['HTTP', 'HTTPS', 'GRPC', 'GRPC-WEB', 'HTTP2', 'MONGO', 'TCP', 'TLS'] as const;
const version = z.enum(['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3']);
/** Those Envoy knows; others are left out. */
export const CIPHER_SUITES: ReadonlySet<string> = new Set([
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-RSA-AES128-SHA'],
  ...['ECDHE-ECDSA-AES256-SHA', 'ECDHE-RSA-AES256-SHA', 'AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'AES128-SHA', 'AES256-SHA', 'DES-CBC3-SHA'],
]);
const keyPair = z.strictObject({ serverCertificate: z.string().optional(), privateKey: z.string().optional(), caCertificates: z.string().optional() });

export const serverTls = z
  .strictObject({
    mode: z.enum(MODES).optional(),
    httpsRedirect: z.boolean().optional(),
    credentialName: z.string().optional(),
    credentialNames: z.array(z.string()).min(1).max(2).optional(),
    caCertCredentialName: z.string().optional(),
    serverCertificate: z.string().optional(),
    privateKey: z.string().optional(),
    caCertificates: z.string().optional(),
    caCrl: z.string().optional(),
    tlsCertificates: z.array(keyPair).optional(),
    subjectAltNames: z.array(z.string()).optional(),
    verifyCertificateSpki: z.array(z.string()).optional(),
    verifyCertificateHash: z.array(z.string()).optional(),
    minProtocolVersion: version.optional(),
    maxProtocolVersion: version.optional(),
    cipherSuites: z.array(z.string()).optional(),
    insecureSkipVerify: z.boolean().optional(),
  })
  .superRefine((tls, context) => {
    const files = (['serverCertificate', 'privateKey', 'caCertificates'] as const).filter((key) => Boolean(tls[key]));
    const named = (['credentialName', 'credentialNames', 'tlsCertificates'] as const).filter((key) => (tls[key]?.length ?? 0) > 0);
    if (named.length > 1) context.addIssue(`must have one of credentialName, credentialNames, tlsCertificates; it has ${named.join(' and ')}`);
    if (tls.mode === 'ISTIO_MUTUAL') {
      for (const key of [...files, ...named])
        context.addIssue({ code: 'custom', path: [key], message: 'must be absent: mode ISTIO_MUTUAL uses the mesh certificates' });
      return;
    }
    if (tls.mode !== 'SIMPLE' && tls.mode !== 'MUTUAL' && tls.mode !== 'OPTIONAL_MUTUAL') return;
    if (named.length > 0 && tls.serverCertificate && tls.privateKey) context.addIssue(`must have one of ${named.join(', ')}, serverCertificate`);
    if (named.length === 0)
      for (const key of ['serverCertificate', 'privateKey'] as const)
        if (!tls[key]) context.addIssue({ code: 'custom', path: [key], message: `is required by mode ${tls.mode}, or use credentialName` });
    for (const [i, pair] of (tls.tlsCertificates ?? []).entries())
      for (const key of ['serverCertificate', 'privateKey'] as const)
        if (!pair[key]) context.addIssue({ code: 'custom', path: ['tlsCertificates', i, key], message: 'is required' });
    const bundle = Boolean(tls.caCertificates) || Boolean(tls.caCertCredentialName) || Boolean(tls.credentialName) || (tls.credentialNames?.length ?? 0) > 0;
    if (tls.mode === 'MUTUAL' && !bundle)
      context.addIssue({ code: 'custom', path: ['caCertificates'], message: `is required by mode ${tls.mode}, or use credentialName` });
  });

const serverHost = z
  .string()
  .min(1)
  .refine((host) => {
    const slash = host.indexOf('/');
    const namespace = host.slice(0, Math.max(slash, 0));
    const name = host.slice(slash + 1);
    return (
      hostName.safeParse(name).success && (name === '*' || name.includes('.')) && (slash < 0 || /^(\*|\.|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$/.test(namespace))
    );
  }, 'must be a full host name like www.example.com, a wildcard, or namespace/host; short names are not allowed');

const server = z
  .strictObject({
    name: z.string().optional(),
    bind: z
      .string()
      .regex(/^([0-9.]+|[0-9a-fA-F:.]+)$/, 'must be an IP address; with a port number there can be no unix socket')
      .or(z.literal(''))
      .optional(),
    defaultEndpoint: z.string().optional(),
    port: z.strictObject({
      number: portNumber,
      name: z.string().min(1),
      // Istio takes any case; the rest of Weft sees capitals.
      protocol: z.preprocess((value) => (typeof value === 'string' ? value.toUpperCase() : value), z.enum(PROTOCOLS)),
      targetPort: portNumber.optional(),
    }),
    hosts: z.array(serverHost).min(1, 'needs at least one host'),
    tls: serverTls.optional(),
  })
  .superRefine(({ port, tls }, context) => {
    const secure = port.protocol === 'HTTPS' || port.protocol === 'TLS';
    if (secure && tls === undefined) context.addIssue({ code: 'custom', path: ['tls'], message: `is required by protocol ${port.protocol}` });
    if (
      !secure &&
      tls !== undefined &&
      (port.protocol !== 'HTTP' ||
        (tls.mode !== undefined && tls.mode !== 'PASSTHROUGH') ||
        Boolean(tls.serverCertificate) ||
        Boolean(tls.privateKey) ||
        Boolean(tls.caCertificates))
    )
      context.addIssue({
        code: 'custom',
        path: ['tls'],
        message: `protocol ${port.protocol} cannot have TLS settings${port.protocol === 'HTTP' ? ' but httpsRedirect' : ''}; use HTTPS or TLS`,
      });
  });

export const gatewaySpec = z.strictObject({
  selector: labels.optional(),
  servers: z
    .array(server)
    .min(1, 'a Gateway needs at least one server')
    .superRefine((servers, context) =>
      refuseDuplicates(
        servers.map((s) => s.port.name),
        (i) => [i, 'port', 'name'],
        'port name',
        context,
      ),
    ),
});
export type GatewaySpec = z.infer<typeof gatewaySpec>;

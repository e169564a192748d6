// ServiceEntry (networking.istio.io): a service of the outside (or of machines) with a name of its own in the mesh.

import { z } from 'zod';
import { portName, workloadAddress, workloadFields } from './other-kinds.ts';
import { exportTo, hostName, ipAddress, ipOrCidr, labels, portNumber, portProtocol, refuseDuplicates } from './schema-parts.ts';

const RESOLUTIONS = ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'] as const;
/** What can be told apart by a name: Host or SNI. Plain TCP cannot. */
const NAMED = /^(HTTP|HTTP2|GRPC|GRPC-WEB|HTTP_PROXY|HTTPS|TLS)$/i;

const endpoint = z
  .strictObject({ address: workloadAddress.optional(), ...workloadFields })
  .refine((e) => e.address !== undefined || Boolean(e.network), { path: ['address'], message: 'is required, or name the network it is in' })
  .refine((e) => e.address?.startsWith('unix://') !== true || Object.keys(e.ports ?? {}).length === 0, {
    path: ['ports'],
    message: 'a unix:// address has no ports: remove them',
  });

export const serviceEntrySpec = z
  .strictObject({
    hosts: z
      .array(
        hostName
          .or(z.string().regex(/^\*[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$/))
          .refine((host) => host !== '*', 'must not be *: name a host or a wildcard like *.example.com'),
      )
      .min(1, 'needs at least one host')
      .max(256),
    addresses: z.array(ipOrCidr).max(256).optional(),
    ports: z
      .array(
        z.strictObject({
          number: portNumber,
          protocol: portProtocol.optional(),
          name: portName,
          targetPort: portNumber.or(z.literal(0)).optional(),
        }),
      )
      .superRefine((ports, context) => {
        refuseDuplicates(
          ports.map((p) => p.name),
          (i) => [i, 'name'],
          'port name',
          context,
        );
        refuseDuplicates(
          ports.map((p) => String(p.number)),
          (i) => [i, 'number'],
          'port',
          context,
        );
      })
      .optional(),
    location: z.enum(['MESH_EXTERNAL', 'MESH_INTERNAL']).optional(),
    resolution: z.enum(RESOLUTIONS).optional(),
    endpoints: z.array(endpoint).max(4_096).optional(),
    workloadSelector: z.strictObject({ labels: labels.optional() }).optional(),
    exportTo: exportTo.optional(),
    subjectAltNames: z.array(z.string()).optional(),
  })
  .superRefine((spec, context) => {
    const issue = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message });
    const { resolution = 'NONE', endpoints = [], ports = [] } = spec;
    if (spec.workloadSelector !== undefined && spec.endpoints !== undefined)
      issue(['workloadSelector'], 'cannot be combined with endpoints: choose one of them');
    if (resolution !== 'NONE' && resolution !== 'STATIC')
      for (const [i, address] of (spec.addresses ?? []).entries())
        if (address.includes('/')) issue(['addresses', i], `a CIDR block needs resolution NONE or STATIC, not ${resolution}`);
    if (resolution !== 'NONE' && spec.hosts.length > 1 && ports.some((p) => !NAMED.test(p.protocol ?? '')))
      issue(['hosts'], 'several hosts need ports whose protocol is HTTP or TLS, or resolution NONE: plain TCP cannot tell them apart');
    for (const [i, e] of endpoints.entries()) {
      for (const name of Object.keys(e.ports ?? {}))
        if (!ports.some((p) => p.name === name)) issue(['endpoints', i, 'ports', name], `the ServiceEntry has no port named ${name}`);
      if (e.address === undefined) continue;
      if (resolution === 'STATIC' && !e.address.startsWith('unix://') && !ipAddress.safeParse(e.address).success)
        issue(['endpoints', i, 'address'], 'must be an IP address with resolution STATIC; use DNS for a name');
      if (resolution === 'STATIC' && e.address.startsWith('unix://') && ports.length > 1)
        issue(['endpoints', i, 'address'], 'a unix:// address is for a ServiceEntry of one port');
      if (resolution.startsWith('DNS') && e.address.startsWith('unix://')) issue(['endpoints', i, 'address'], 'must be a DNS name or an IP address');
    }
    if (resolution === 'NONE' && endpoints.length > 0) issue(['endpoints'], 'must be absent with resolution NONE: use STATIC or DNS');
    if (resolution.startsWith('DNS') && endpoints.length === 0) {
      const wildcard = spec.hosts.findIndex((host) => host.includes('*'));
      if (wildcard >= 0) issue(['hosts', wildcard], `a wildcard cannot be resolved: add endpoints, or use resolution NONE or DYNAMIC_DNS`);
    }
    if (resolution === 'DNS_ROUND_ROBIN' && endpoints.length > 1) issue(['endpoints'], 'can have one endpoint with resolution DNS_ROUND_ROBIN');
    if (resolution === 'DYNAMIC_DNS') dynamicIssues(spec, issue);
  });
export type ServiceEntrySpec = z.infer<typeof serviceEntrySpec>;

/** Whether its endpoints are those of a Service too that has its host in its namespace. */
export function joinsServices({ resolution = 'NONE' }: ServiceEntrySpec): boolean {
  return resolution !== 'NONE' && resolution !== 'DYNAMIC_DNS';
}

interface DynamicParts {
  hosts: readonly string[];
  addresses?: readonly string[] | undefined;
  endpoints?: readonly unknown[] | undefined;
  ports?: readonly { protocol?: string | undefined }[] | undefined;
}

/** DYNAMIC_DNS resolves the name each request (or TLS hello) carries. */
function dynamicIssues(spec: DynamicParts, issue: (path: (string | number)[], message: string) => void): void {
  for (const [i, host] of spec.hosts.entries())
    if (!host.startsWith('*')) issue(['hosts', i], 'must be a wildcard with resolution DYNAMIC_DNS; use DNS for one name');
  for (const key of ['addresses', 'endpoints'] as const)
    if ((spec[key]?.length ?? 0) > 0) issue([key], 'must be absent with resolution DYNAMIC_DNS: the name of the request decides');
  for (const [i, { protocol }] of (spec.ports ?? []).entries())
    if (!/^(HTTP|TLS|GRPC|HTTP2)$/i.test(protocol ?? '')) issue(['ports', i, 'protocol'], 'must be HTTP, HTTP2, GRPC or TLS with resolution DYNAMIC_DNS');
}

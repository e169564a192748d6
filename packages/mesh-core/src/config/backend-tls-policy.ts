// BackendTLSPolicy (gateway.networking.k8s.io): TLS that clients of a Service make themselves, as the CRD takes it.

import { z } from 'zod';
import { gatewayHostname, groupName, kindName, objectName, sectionName, tlsOptions } from './kubernetes-gateway.ts';

const target = z.strictObject({ group: groupName, kind: kindName, name: objectName, sectionName: sectionName.optional() });

const hostname = gatewayHostname.refine((host) => !host.startsWith('*'), 'must be one host name: no wildcard is sent as a server name');
const URI = /^[^:/?#]+:\/\/[^/?#]*[^?#]*(\?[^#]*)?(#.*)?$/;
const subjectAltName = z
  .strictObject({
    type: z.enum(['Hostname', 'URI']),
    hostname: gatewayHostname.optional(),
    uri: z.string().min(1).max(253).regex(URI, 'must be a URI with its scheme, like spiffe://cluster.local/ns/a/sa/b').optional(),
  })
  .superRefine(({ type, hostname: host, uri }, context) => {
    const issue = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
    if (type === 'Hostname' && host === undefined) issue('hostname', 'is required by type Hostname');
    if (type === 'URI' && uri === undefined) issue('uri', 'is required by type URI');
    if (type === 'Hostname' && uri !== undefined) issue('uri', 'must be absent: the type is Hostname');
    if (type === 'URI' && host !== undefined) issue('hostname', 'must be absent: the type is URI');
  });

const WELL_KNOWN = /^(System|([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))$/;
const validation = z
  .strictObject({
    caCertificateRefs: z
      .array(z.strictObject({ group: groupName, kind: kindName, name: objectName }))
      .max(8)
      .optional(),
    wellKnownCACertificates: z.string().max(253).regex(WELL_KNOWN, 'must be System').optional(),
    hostname,
    subjectAltNames: z.array(subjectAltName).max(5).optional(),
  })
  .refine(({ caCertificateRefs: refs = [], wellKnownCACertificates: known }) => refs.length === 0 || known === undefined, {
    path: ['wellKnownCACertificates'],
    message: 'must be absent beside caCertificateRefs: one of the two says whom to trust',
  })
  .refine(
    ({ caCertificateRefs: refs = [], wellKnownCACertificates: known }) => refs.length > 0 || known !== undefined,
    'must have caCertificateRefs, or wellKnownCACertificates: System',
  );

export const backendTlsPolicySpec = z.strictObject({
  targetRefs: z.array(target).min(1).max(16).superRefine(refuseOverlaps),
  validation,
  options: tlsOptions.optional(),
});
export type BackendTlsPolicySpec = z.infer<typeof backendTlsPolicySpec>;

/** One policy may name a target once, or several sections of it. */
function refuseOverlaps(targets: readonly z.infer<typeof target>[], context: z.RefinementCtx): void {
  for (const [i, own] of targets.entries()) {
    const same = targets.filter((t) => t.group === own.group && t.kind === own.kind && t.name === own.name);
    const issue = (message: string): void => context.addIssue({ code: 'custom', path: [i, 'sectionName'], message });
    if (own.sectionName === undefined && same.some((t) => t.sectionName !== undefined))
      issue(`is required: ${own.kind} ${own.name} is named with a section, too`);
    else if (targets.findIndex((t) => same.includes(t) && t.sectionName === own.sectionName) < i)
      issue(`${own.sectionName === undefined ? `${own.kind} ${own.name} ` : ''}is named twice`);
  }
}

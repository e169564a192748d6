// Ingress and IngressClass (networking.k8s.io), as a Kubernetes API server takes them.

import { z } from 'zod';
import { portNumber } from './schema-parts.ts';

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const objectName = z.string().min(1).max(253).regex(subdomain, 'must be a DNS name: lower-case letters, digits, - and .');
/** No address and no bare `*`: a rule for every host has none. */
const ruleHost = z
  .string()
  .max(253)
  .refine(
    (host) => host === '' || subdomain.test(host.replace(/^\*\./, '')),
    'must be a DNS name like shop.example.com, or one with a wildcard like *.example.com',
  )
  .refine((host) => !z.union([z.ipv4(), z.ipv6()]).safeParse(host).success, 'must be a DNS name, not an IP address');

const reference = z.strictObject({ apiGroup: z.string().optional(), kind: z.string().min(1), name: z.string().min(1) });
const oneOf = (a: unknown, b: unknown): boolean => (a === undefined) !== (b === undefined);
const backend = z
  .strictObject({
    service: z
      .strictObject({
        name: z.string().regex(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be the name of a Service'),
        port: z
          .strictObject({
            name: z
              .string()
              .regex(/^(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/, 'must be the name of a port: at most 15 lower-case letters, digits and -')
              .optional(),
            number: portNumber.optional(),
          })
          .refine((port) => oneOf(port.name, port.number), 'must have one of name, number'),
      })
      .optional(),
    resource: reference.optional(),
  })
  .refine((b) => oneOf(b.service, b.resource), 'must have one of service, resource');

const path = z
  .strictObject({ path: z.string().optional(), pathType: z.enum(['Exact', 'Prefix', 'ImplementationSpecific']), backend })
  .superRefine(({ path = '', pathType }, context) => {
    const issue = (message: string): void => context.addIssue({ code: 'custom', path: ['path'], message });
    if (pathType === 'ImplementationSpecific') {
      if (path !== '' && !path.startsWith('/')) issue('must start with /');
      return;
    }
    if (!path.startsWith('/')) issue(`must start with / where pathType is ${pathType}`);
    const bad = ['//', '/./', '/../', '%2f', '%2F'].find((part) => path.includes(part)) ?? ['/..', '/.'].find((end) => path.endsWith(end));
    if (bad !== undefined) issue(`must not have ${bad}`);
  });

export const ingressSpec = z
  .strictObject({
    ingressClassName: objectName.optional(),
    defaultBackend: backend.optional(),
    tls: z.array(z.strictObject({ hosts: z.array(ruleHost.min(1)).optional(), secretName: objectName.or(z.literal('')).optional() })).optional(),
    rules: z
      .array(z.strictObject({ host: ruleHost.optional(), http: z.strictObject({ paths: z.array(path).min(1, 'needs at least one path') }).optional() }))
      .optional(),
  })
  .refine((spec) => spec.defaultBackend !== undefined || (spec.rules?.length ?? 0) > 0, 'must have rules or a defaultBackend');
export type IngressSpec = z.infer<typeof ingressSpec>;
export type IngressBackend = z.infer<typeof backend>;

export const ingressClassSpec = z.strictObject({
  controller: z
    .string()
    .max(250)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/\S+$/, 'must be a domain and a path, like istio.io/ingress-controller'),
  parameters: z
    .strictObject({
      apiGroup: z.string().optional(),
      kind: z.string().min(1),
      name: z.string().min(1),
      namespace: z.string().optional(),
      scope: z.enum(['Cluster', 'Namespace']).optional(),
    })
    .refine((p) => (p.scope === 'Namespace') === (p.namespace !== undefined), 'must have a namespace with scope Namespace, and only then')
    .optional(),
});
export type IngressClassSpec = z.infer<typeof ingressClassSpec>;

/** What metadata and spec cannot both say. */
export function classProblem(annotations: Readonly<Record<string, string>>, spec: unknown): string | undefined {
  return annotations[CLASS_ANNOTATION] !== undefined && (spec as { ingressClassName?: unknown } | undefined)?.ingressClassName !== undefined
    ? `must be absent where spec.ingressClassName says it`
    : undefined;
}

export const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';

// TCPRoute and TLSRoute (gateway.networking.k8s.io): connections to Services, of the mesh or at Gateways.

import { z } from 'zod';
import { parentRef } from './gateway-api.ts';
import { gatewayHostname, sectionName } from './kubernetes-gateway.ts';
import { IS_NAME, NEEDS_PORT, backendFields, hasPort, isName } from './route-filters.ts';
import { refuseDuplicates } from './schema-parts.ts';

const backendRef = z
  .strictObject({ ...backendFields, weight: z.number().int().min(0).max(1_000_000).optional() })
  .refine(hasPort, NEEDS_PORT)
  .refine(isName, IS_NAME);
const rules = z
  .array(z.strictObject({ name: sectionName.optional(), backendRefs: z.array(backendRef).min(1, 'needs at least one backend').max(16) }))
  .min(1, 'needs a rule')
  .max(16)
  .superRefine((list, context) =>
    refuseDuplicates(
      list.map((r) => r.name),
      (i) => [i, 'name'],
      'rule name',
      context,
    ),
  );
const parentRefs = z.array(parentRef).max(32).optional();

export const tcpRouteSpec = z.strictObject({ parentRefs, rules });
export type TcpRouteSpec = z.infer<typeof tcpRouteSpec>;

export const tlsRouteSpec = z.strictObject({
  parentRefs,
  hostnames: z
    .array(gatewayHostname.refine((host) => !/^[\d.]+$/.test(host), 'must not be an IP address: no client names one in TLS'))
    .max(1_024)
    .optional(),
  rules,
});
export type TlsRouteSpec = z.infer<typeof tlsRouteSpec>;

/** What their newer versions do not take: more than one rule, a TLSRoute without names. */
export function versionProblem(apiVersion: string, kind: string, spec: unknown): { path: string; message: string } | undefined {
  if (!['TCPRoute', 'TLSRoute'].includes(kind) || apiVersion.endsWith('/v1alpha2')) return undefined;
  const { hostnames = [], rules: list = [] } = (spec ?? {}) as { hostnames?: unknown[]; rules?: unknown[] };
  if (kind === 'TLSRoute' && hostnames.length === 0)
    return { path: 'hostnames', message: `needs at least one host name: only v1alpha2 takes a TLSRoute without` };
  return list.length > 1 ? { path: 'rules', message: 'must have one rule: only v1alpha2 takes more' } : undefined;
}

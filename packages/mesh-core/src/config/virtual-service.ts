// VirtualService (networking.istio.io): how requests for a host are routed.

import { z } from 'zod';
import { checkWeights, destination, httpRoute, weight } from './http-route.ts';
import { exportToSome, hostName, labels, portNumber } from './schema-parts.ts';

const subnet = z.string().regex(/^[0-9a-fA-F.:]+(\/\d{1,3})?$/, 'must be an address or a CIDR block');
const l4Match = {
  destinationSubnets: z.array(subnet).optional(),
  port: portNumber.optional(),
  sourceLabels: labels.optional(),
  gateways: z.array(z.string()).optional(),
  sourceNamespace: z.string().optional(),
};
const l4Route = z.array(z.strictObject({ destination, weight: weight.optional() })).min(1, 'needs at least one destination');

export const virtualServiceSpec = z
  .strictObject({
    hosts: z.array(hostName).optional(),
    gateways: z.array(z.string()).optional(),
    http: z.array(httpRoute).optional(),
    tls: z
      .array(
        z
          .strictObject({ match: z.array(z.strictObject({ sniHosts: z.array(hostName).min(1), ...l4Match })).min(1), route: l4Route })
          .superRefine((rule, context) => checkWeights(rule.route, context)),
      )
      .optional(),
    tcp: z
      .array(
        z
          .strictObject({ match: z.array(z.strictObject({ ...l4Match, sourceSubnet: subnet.optional() })).optional(), route: l4Route })
          .superRefine((rule, context) => checkWeights(rule.route, context)),
      )
      .optional(),
    exportTo: exportToSome.optional(),
  })
  .superRefine((spec, context) => {
    const issue = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message });
    if ((spec.http?.length ?? 0) + (spec.tls?.length ?? 0) + (spec.tcp?.length ?? 0) === 0) context.addIssue('must have at least one of http, tls, tcp');
    const hosts = spec.hosts ?? [];
    for (const [i, host] of hosts.entries()) {
      const earlier = hosts.slice(0, i).find((other) => overlap(host, other));
      if (earlier !== undefined) issue(['hosts', i], earlier === host ? `host ${host} is listed twice` : `host ${host} overlaps ${earlier}: keep one of them`);
    }
    const toMesh = spec.gateways === undefined || spec.gateways.length === 0 || spec.gateways.includes('mesh');
    if (hosts.length > 0 && toMesh && hosts.includes('*'))
      issue(['hosts'], 'the wildcard host * is not allowed for sidecars: name hosts, or bind the VirtualService to gateways only');
    if (hosts.length === 0) delegateIssues(spec, issue);
  });

/** Without hosts a VirtualService is a delegate: only HTTP rules, taken over by the VirtualService that names it. */
function delegateIssues(
  spec: {
    gateways?: readonly string[] | undefined;
    http?: readonly { delegate?: unknown }[] | undefined;
    tls?: readonly unknown[] | undefined;
    tcp?: readonly unknown[] | undefined;
  },
  issue: (path: (string | number)[], message: string) => void,
): void {
  if ((spec.gateways?.length ?? 0) > 0)
    issue(['gateways'], 'a VirtualService without hosts is a delegate and cannot have gateways: add hosts or remove gateways');
  for (const key of ['tls', 'tcp'] as const)
    if ((spec[key]?.length ?? 0) > 0) issue([key], `a VirtualService without hosts is a delegate and cannot have ${key}: add hosts`);
  for (const [i, rule] of (spec.http ?? []).entries())
    if (rule.delegate !== undefined) issue(['http', i, 'delegate'], 'a delegate cannot delegate further: add hosts or name a route');
}

/** Whether two hosts of one VirtualService claim the same names; a wildcard covers every longer name. */
function overlap(a: string, b: string): boolean {
  if (a === b) return true;
  const covers = (wide: string, narrow: string): boolean => wide.startsWith('*') && narrow.replace(/^\*/, '').endsWith(wide.slice(1));
  return covers(a, b) || covers(b, a);
}
export type VirtualServiceSpec = z.infer<typeof virtualServiceSpec>;

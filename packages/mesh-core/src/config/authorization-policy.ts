// AuthorizationPolicy (security.istio.io): who may do what at a workload. As istiod's webhook takes it, but that nothing is taken
// which could not be enforced here: a policy that silently does nothing is worse than none.

import { z } from 'zod';
import { ipOrCidr, selector } from './schema-parts.ts';
import { ONE_TARGET, hasOneTarget, isGatewayTarget, policyTargets } from './target-ref.ts';

const text = z.string().min(1, 'must not be empty');
const texts = z.array(text).optional();
const addresses = z.array(ipOrCidr).optional();
const port = z.string().regex(/^\d+$/, 'must be the number of a port, as text').refine(isPort, 'must be a port from 0 to 65535');
const ports = z.array(port).optional();

const serviceAccount = z
  .string()
  .max(320)
  .regex(/^([^/*]+\/)?[^/*]+$/, 'must be serviceAccount or namespace/serviceAccount, without wildcards');
const serviceAccounts = z.array(serviceAccount).max(16).optional();
const oneWildcard = text.regex(/^(\*?[^*]*|[^*]*\*)$/, 'may have one *, at its start or end');
const trustDomains = z.array(oneWildcard.regex(/^[^/]*$/, 'must not have a / in it')).optional();

const PCHARS = /^[a-zA-Z0-9-._~%!$&'()+,;:@=]+$/;

/** Whether the path has `{*}` (one segment) or `{**}` (any number of them). */
export function isPathTemplate(path: string): boolean {
  return path.includes('{*}') || path.includes('{**}');
}

/** Templates are whole segments, nothing of their kind follows `{**}`, and braces mean nothing else. */
function isPath(path: string): boolean {
  let open = false;
  for (const segment of path.replaceAll(/^\/+|\/+$/g, '').split('/')) {
    if (segment === '{*}' || segment === '{**}') {
      if (open) return false;
      open = segment === '{**}';
    } else if (/[{}]/.test(segment) || (isPathTemplate(path) && !PCHARS.test(segment))) return false;
  }
  return true;
}
const paths = z.array(text.refine(isPath, 'may have {*} and, last of them, {**} as whole segments, and braces for nothing else')).optional();

const source = z
  .strictObject({
    principals: texts,
    notPrincipals: texts,
    requestPrincipals: texts,
    notRequestPrincipals: texts,
    namespaces: texts,
    notNamespaces: texts,
    serviceAccounts,
    notServiceAccounts: serviceAccounts,
    trustDomains,
    notTrustDomains: trustDomains,
    ipBlocks: addresses,
    notIpBlocks: addresses,
    remoteIpBlocks: addresses,
    notRemoteIpBlocks: addresses,
  })
  .refine(hasValues, 'must have a field with values: leave `from` out to mean everybody')
  .refine(
    (s) => (s.serviceAccounts ?? s.notServiceAccounts) === undefined || (s.principals ?? s.notPrincipals ?? s.namespaces ?? s.notNamespaces) === undefined,
    'cannot have serviceAccounts beside principals or namespaces',
  );

const operation = z
  .strictObject({
    hosts: texts,
    notHosts: texts,
    ports,
    notPorts: ports,
    methods: texts,
    notMethods: texts,
    paths,
    notPaths: paths,
  })
  .refine(hasValues, 'must have a field with values: leave `to` out to mean every request');

const IN_BRACKETS = /^(request\.headers|request\.auth\.claims|experimental\.envoy\.filters\.[^[]*)\[.+\]$/;
const NAMED: Readonly<Record<string, z.ZodType>> = {
  'source.ip': ipOrCidr,
  'remote.ip': ipOrCidr,
  'source.namespace': text,
  'source.serviceAccount': serviceAccount,
  'source.principal': text,
  'source.trustDomain': oneWildcard,
  'request.auth.principal': text,
  'request.auth.audiences': text,
  'request.auth.presenter': text,
  'destination.ip': ipOrCidr,
  'destination.port': port,
  'connection.sni': text,
};
const KEYS = [...Object.keys(NAMED), 'request.headers[name]', 'request.auth.claims[name]'];

const condition = z
  .strictObject({
    key: text.refine((key) => NAMED[key] !== undefined || IN_BRACKETS.test(key), `must be one of ${KEYS.join(', ')}`),
    values: texts,
    notValues: texts,
  })
  .refine((c) => hasValues({ values: c.values, notValues: c.notValues }), 'must have values or notValues')
  .superRefine(({ key, values, notValues }, context) => {
    for (const [field, list] of Object.entries({ values, notValues })) {
      if (key === 'source.serviceAccount' && (list ?? []).length > 16) context.addIssue({ code: 'custom', path: [field], message: 'may have 16 at most' });
      for (const [i, value] of (list ?? []).entries()) {
        const message = NAMED[key]?.safeParse(value).error?.issues[0]?.message;
        if (message !== undefined) context.addIssue({ code: 'custom', path: [field, i], message });
      }
    }
  });

const rule = z.strictObject({
  from: z.array(z.strictObject({ source })).max(512).optional(),
  to: z.array(z.strictObject({ operation })).optional(),
  when: z.array(condition).optional(),
});

export const authorizationPolicySpec = z
  .strictObject({
    ...policyTargets,
    selector: selector.optional(),
    action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']).optional(),
    rules: z.array(rule).max(512).optional(),
    provider: z.strictObject({ name: z.string().optional() }).optional(),
  })
  .refine(hasOneTarget, ONE_TARGET)
  .superRefine(({ action, rules, provider, targetRef, targetRefs }, context) => {
    const refuse = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
    if (action === 'CUSTOM') {
      if ((rules ?? []).length === 0) refuse('rules', 'CUSTOM without rules would never ask: add an empty rule {} to ask about everything');
      else if (!provider?.name) refuse('provider', 'CUSTOM needs the name of an extension provider of the MeshConfig');
      for (const [i, one] of (rules ?? []).entries())
        for (const path of unasked(one))
          context.addIssue({
            code: 'custom',
            path: ['rules', i, ...path],
            message: 'is not for action CUSTOM, which is asked before anybody is known: remove it',
          });
    } else if (provider !== undefined) refuse('provider', 'is for action CUSTOM only: remove it');
    if (action === 'DENY' && (rules ?? []).length === 0) refuse('rules', 'DENY without rules would never deny: add an empty rule {} to deny everything');
    if (targetRef !== undefined && !isGatewayTarget(targetRef)) refuse('targetRef', NO_TARGETS);
    if ((targetRefs ?? []).some((t) => !isGatewayTarget(t))) refuse('targetRefs', NO_TARGETS);
  });
export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicySpec>;
const NO_TARGETS =
  'names what a waypoint would look after, and none runs here, so the policy would protect nothing: name a Gateway of the Gateway API, or use a selector';

const OF_IDENTITY = ['namespaces', 'serviceAccounts', 'trustDomains', 'principals', 'requestPrincipals'];
const KEY_OF_IDENTITY = /^(source\.(namespace|serviceAccount|trustDomain|principal)$|request\.auth\.)/;

/** Fields of a rule that Istio does not take with CUSTOM. */
function unasked({ from = [], when = [] }: z.infer<typeof rule>): (string | number)[][] {
  return [
    ...from.flatMap(({ source: of }, i) =>
      Object.entries(of)
        .filter(
          ([field, values]) => (values ?? []).length > 0 && OF_IDENTITY.some((name) => field === name || field.toLowerCase() === `not${name.toLowerCase()}`),
        )
        .map(([field]) => ['from', i, 'source', field]),
    ),
    ...when.flatMap(({ key }, i) => (KEY_OF_IDENTITY.test(key) ? [['when', i, 'key']] : [])),
  ];
}

/** Annotation of a policy that is only tried: counted, and nothing refused. */
const DRY_RUN = 'istio.io/dry-run';
const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

export function isDryRun({ annotations }: { annotations?: Readonly<Record<string, string>> | undefined }): boolean {
  return TRUE.has(annotations?.[DRY_RUN] ?? '');
}

/** What is wrong with the annotation: only an AuthorizationPolicy that allows or denies can be tried. */
export function dryRunProblem(kind: string, annotations: Readonly<Record<string, string>>, action: unknown): { key: string; message: string } | undefined {
  const value = annotations[DRY_RUN];
  if (value === undefined) return undefined;
  if (kind !== 'AuthorizationPolicy') return { key: DRY_RUN, message: `${DRY_RUN} is for AuthorizationPolicies only: remove it` };
  if (!TRUE.has(value) && !FALSE.has(value)) return { key: DRY_RUN, message: `${DRY_RUN} ${JSON.stringify(value)}: must be "true" or "false"` };
  if (action === 'AUDIT') return { key: DRY_RUN, message: `${DRY_RUN} is for the actions ALLOW and DENY: an AUDIT policy refuses nothing anyway` };
  if (action === 'CUSTOM')
    return { key: DRY_RUN, message: `${DRY_RUN} is for the actions ALLOW and DENY: a CUSTOM policy asks its provider and does what it says` };
  return undefined;
}

function isPort(value: string): boolean {
  return Number(value) <= 65_535;
}

function hasValues(fields: Readonly<Record<string, readonly unknown[] | undefined>>): boolean {
  return Object.values(fields).some((values) => (values ?? []).length > 0);
}

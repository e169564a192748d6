// Pieces of schema several kinds share: durations, string matches, percentages, names.

import { z } from 'zod';

const PART = '(\\d+(?:\\.\\d+)?|\\.\\d+)';
const DURATION = new RegExp(`^(?:${PART}h)?(?:${PART}m(?!s))?(?:${PART}s)?(?:${PART}ms)?(?:${PART}[uµμ]s)?(?:${PART}ns)?$`);
const NANOSECONDS = [3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000, 1_000, 1] as const;

/** Milliseconds, with fractions down to the nanosecond, of a duration as Istio takes it (`2s`, `1m30s`, `250ms`); undefined when it is none. */
export function durationMs(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (match === null || text === '') return undefined;
  return NANOSECONDS.reduce((sum, unit, i) => sum + Math.round(Number(match[i + 1] ?? 0) * unit), 0) / 1_000_000;
}

const LIKE = 'must be a duration with its unit, like 2s, 250ms or 1m30s';

/** Istio: at least 1 ms and whole milliseconds. */
export const duration = z.string(LIKE).refine((text) => {
  const ms = durationMs(text);
  return ms !== undefined && ms >= 1 && Number.isInteger(ms);
}, 'must be a duration of at least 1ms in whole milliseconds, like 2s, 250ms or 1m30s');

/** As `duration`, and `0s` switches the timeout off. */
export const durationOrZero = z.string(LIKE).refine((text) => {
  const ms = durationMs(text);
  return ms !== undefined && Number.isInteger(ms);
}, 'must be a duration in whole milliseconds, like 2s or 250ms, or 0s');

export const wholeSeconds = z.string(LIKE).refine((text) => {
  const ms = durationMs(text);
  return ms !== undefined && ms % 1_000 === 0;
}, 'must be a duration in whole seconds, like 60s');

/** Whether a proxy (RE2) can compile the expression: no look-around, no back-references. Approximated by the platform's own compiler. */
function isRe2(source: string): boolean {
  if (/\(\?(?:[=!]|<[=!])/.test(source) || /(?:^|[^\\])(?:\\\\)*\\[1-9]/.test(source)) return false;
  try {
    // RE2 writes flags and names its own way; they say nothing about whether the rest compiles.
    return new RegExp(source.replace(/\(\?P</g, '(?<').replace(/\(\?[imsU-]+([:)])/g, (_, end: string) => (end === ')' ? '(?:)' : '(?:'))) instanceof RegExp;
  } catch {
    return false;
  }
}

/** At most 1024 characters, not empty, and compiles. */
export const regex = z.string().min(1).max(1_024).refine(isRe2, 'is no regular expression of RE2 syntax');

const matchFields = { exact: z.string().optional(), prefix: z.string().min(1, 'must not be empty').optional() };
const oneOf = (m: object): boolean => Object.keys(m).length <= 1;
export const stringMatch = z.strictObject({ ...matchFields, regex: regex.optional() }).refine(oneOf, 'must have one of exact, prefix, regex');
/** For withoutHeaders, where the regex `*` asks for presence as `{}` does everywhere. */
export const presenceMatch = z
  .strictObject({ ...matchFields, regex: z.union([z.literal('*'), regex]).optional() })
  .refine(oneOf, 'must have one of exact, prefix, regex');
export type StringMatchSpec = z.infer<typeof stringMatch>;

export const percent = z.strictObject({ value: z.number().min(0).max(100).optional() });
export const portNumber = z.number().int().min(1).max(65_535);
const labelKey = z
  .string()
  .regex(/^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/, 'must be a label name: letters, digits, -, _ and .');
const labelValue = z.string().regex(/^([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?$/, 'must be a label value: at most 63 letters, digits, -, _ and .');
export const labels = z.record(labelKey, labelValue);
/** Why it is no label; undefined when it is one. */
export function labelProblem(key: string, value: string): string | undefined {
  return [labelKey.safeParse(key), labelValue.safeParse(value)].find((r) => !r.success)?.error?.issues[0]?.message;
}
export const uint32 = z.number().int().min(0).max(4_294_967_295);
/** Numbers of MeshConfig may be quoted, as in Istio, which reads it as JSON of protobuf; CRDs take no such text. */
export const orQuoted = <T extends z.ZodType>(number: T) =>
  z.preprocess((value) => (typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value), number);
export const positiveInt32 = z.number().int().min(0).max(2_147_483_647);
export const selector = z.strictObject({ matchLabels: labels.optional() });
/** DNS name, short name, wildcard (`*`, `*.example.com`, `*-x.example.com`) or address. */
export const hostName = z
  .string()
  .min(1)
  .max(255)
  .regex(
    /^(\*|(\*[.-])?[A-Za-z0-9_]([-A-Za-z0-9_.:]*[A-Za-z0-9_])?\.?|[0-9a-fA-F:.]+(\/\d+)?)$/,
    'must be a host name, a wildcard like *.example.com, or an address',
  );

/** Istio's protocol names, any case. */
export const portProtocol = z
  .string()
  .regex(
    /^(|TCP|UDP|HTTP|HTTP2|GRPC|GRPC-WEB|HTTP_PROXY|HTTPS|TLS|MONGO|REDIS|MYSQL|HBONE|DOUBLE-HBONE)$/i,
    'must be HTTP, HTTP2, GRPC, HTTPS, TLS, TCP, MONGO, REDIS or MYSQL',
  );
/** IPv4 or IPv6. */
export const ipAddress = z.union([z.ipv4(), z.ipv6()], 'must be an IP address');
export const isIpAddress = (text: string): boolean => ipAddress.safeParse(text).success;
export const ipOrCidr = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'must be an IP address or a CIDR block');
/** `*`, `.`, `~` or names of namespaces; `*` and `~` stand alone. */
export const exportTo = z
  .array(z.string().regex(/^([*.~]|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$/, 'must be *, ., ~ or the name of a namespace'))
  .refine((list) => list.length < 2 || !list.some((e) => e === '*' || e === '~'), 'must not name more beside * or ~')
  .refine((list) => new Set(list).size === list.length, 'must not name anything twice');
/** The same for rules, which are of no use to anybody when hidden from all. */
export const exportToSome = exportTo.refine((list) => !list.includes('~'), 'must not be ~: a rule that nobody sees does nothing; delete it');
/** `namespace/host` as Sidecars write it: `./*`, `prod/*`, `~/*`, `prod/*.example.com`. */
export const namespacedHost = z.string().refine((text) => {
  const [namespace = '', name, ...rest] = text.split('/');
  return rest.length === 0 && name !== undefined && /^([*.~]|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$/.test(namespace) && hostName.safeParse(name).success;
}, 'must be namespace/host, like ./*, */* or prod/reviews.prod.svc.cluster.local');

/** Adds an issue for every name that was there before. `what` opens the message. */
export function refuseDuplicates(
  names: readonly (string | undefined)[],
  path: (index: number) => (string | number)[],
  what: string,
  context: z.RefinementCtx,
): void {
  const seen = new Set<string>();
  for (const [i, name] of names.entries()) {
    if (name !== undefined && seen.has(name)) context.addIssue({ code: 'custom', path: path(i), message: `${what} ${name} is used twice` });
    if (name !== undefined) seen.add(name);
  }
}

// localityLbSetting and zoneAwareLbSetting of a DestinationRule.

import { z } from 'zod';
import { uint32 } from './schema-parts.ts';

const TOPOLOGY = new Set(['topology.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.istio.io/subzone']);

const failover = z
  .strictObject({ from: z.string(), to: z.string() })
  .refine((f) => f.from !== f.to, 'from and to must be different regions')
  .refine((f) => !`${f.from}${f.to}`.includes('/'), 'from and to are regions, without a zone')
  .refine((f) => !`${f.from}${f.to}`.includes('*'), 'from and to must not be wildcards');

const distribute = z
  .strictObject({ from: z.string(), to: z.record(z.string(), z.number().int().min(1).max(100)) })
  .refine((d) => sum(Object.values(d.to)) === 100, 'the weights under to must sum up to 100')
  .superRefine((d, context) => refuseOverlaps(Object.keys(d.to), 'to', context));

export const localityLb = z
  .strictObject({
    enabled: z.boolean().optional(),
    distribute: z.array(distribute).optional(),
    failover: z.array(failover).optional(),
    failoverPriority: z.array(z.string()).optional(),
  })
  .refine((l) => !l.distribute?.length || !l.failover?.length, 'distribute cannot be combined with failover')
  .refine(
    (l) => !l.failover?.length || !l.failoverPriority?.some((label) => TOPOLOGY.has(label)),
    'failover cannot be combined with labels of the topology in failoverPriority',
  )
  .superRefine((l, context) =>
    refuseOverlaps(
      (l.distribute ?? []).map((d) => d.from),
      'distribute',
      context,
    ),
  );

export const zoneAwareLb = z.strictObject({
  enabled: z.boolean().optional(),
  minClusterSize: uint32.optional(),
  failover: z.array(failover).optional(),
  failoverPriority: z.array(z.string().refine((label) => !TOPOLOGY.has(label), 'regions and zones are looked at anyway')).optional(),
});

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** `*` only as the last part; no locality within another. */
function refuseOverlaps(localities: readonly string[], path: string, context: z.RefinementCtx): void {
  const seen: string[] = [];
  for (const locality of localities) {
    const parts = locality.split('/');
    const whole = parts.at(-1) === '*' ? parts.slice(0, -1) : parts;
    const name = [...whole, ''].join('/');
    const issue = (message: string): void => context.addIssue({ code: 'custom', path: [path], message: `locality ${locality} ${message}` });
    if (parts.length > 3 || parts.includes('') || whole.some((part) => part.includes('*'))) issue('is not region/zone/subzone with at most a * at the end');
    else if (seen.some((other) => name.startsWith(other) || (other.startsWith(name) && name !== other))) issue('overlaps with one before it');
    seen.push(whole.length === 0 ? '' : name);
  }
}

// docs/data-planes.md names every field of the kinds it describes, and none that is not there.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonSchemaOf } from '@weft/mesh-core/config';
import { expect, test } from 'vitest';

const page = readFileSync(join(import.meta.dirname, '../../../../docs/data-planes.md'), 'utf8');
const KINDS = [
  'VirtualService',
  'DestinationRule',
  'Gateway',
  'KubernetesGateway',
  'HTTPRoute',
  'GRPCRoute',
  'BackendTLSPolicy',
  'TCPRoute',
  'TLSRoute',
  'Ingress',
  'ServiceEntry',
  'WorkloadEntry',
  'PeerAuthentication',
  'RequestAuthentication',
  'AuthorizationPolicy',
  'Sidecar',
  'EnvoyFilter',
  'Telemetry',
];

type Schema = { properties?: Record<string, Schema>; items?: Schema; additionalProperties?: Schema | boolean } & Record<
  'anyOf' | 'oneOf' | 'allOf',
  Schema[] | undefined
>;

/** `http[].match[].uri.exact` */
function fieldsOf(schema: Schema, path = ''): string[] {
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])].flatMap((s) => fieldsOf(s, path));
  const items = schema.items === undefined ? [] : fieldsOf(schema.items, `${path}[]`);
  const values = typeof schema.additionalProperties === 'object' ? fieldsOf(schema.additionalProperties, path) : [];
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, s]) => {
    const at = path === '' ? name : `${path}.${name}`;
    return [at, ...fieldsOf(s, at)];
  });
  return [...new Set([...alternatives, ...items, ...values, ...own])];
}

/** Names in backticks in the first column of the kind's table. */
function namedFor(kind: string): string[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${kind}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map((m) => m[1] ?? ''));
}

function covers(named: string, field: string): boolean {
  if (!named.endsWith('.*')) return named === field;
  const base = named.slice(0, -2);
  return field === base || field.startsWith(`${base}.`) || field.startsWith(`${base}[]`);
}

test.each(KINDS)('%s: every field is on the page', (kind) => {
  const fields = fieldsOf(jsonSchemaOf(kind) as Schema);
  const named = namedFor(kind);
  expect(fields.length).toBeGreaterThan(2);
  expect(fields.filter((field) => !named.some((name) => covers(name, field)))).toEqual([]);
  expect(named.filter((name) => !fields.some((field) => covers(name, field)))).toEqual([]);
});

// The `value` of a patch: checked field by field against Envoy's API, with the path of what does not fit, then a message.

import { type DescField, type DescMessage, type JsonObject, type JsonValue, type Message, fromJson } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import type { EnvoyFilterTarget } from '../../config/envoy-filter.ts';
import type { FieldPath } from '../../config/field-path.ts';
import { BootstrapSchema } from '../../gen/envoy/config/bootstrap/v3/bootstrap_pb.ts';
import { ClusterSchema } from '../../gen/envoy/config/cluster/v3/cluster_pb.ts';
import { TypedExtensionConfigSchema } from '../../gen/envoy/config/core/v3/extension_pb.ts';
import { FilterChainSchema, FilterSchema, ListenerFilterSchema } from '../../gen/envoy/config/listener/v3/listener_components_pb.ts';
import { ListenerSchema } from '../../gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteSchema, VirtualHostSchema } from '../../gen/envoy/config/route/v3/route_components_pb.ts';
import { RouteConfigurationSchema } from '../../gen/envoy/config/route/v3/route_pb.ts';
import { HttpFilterSchema } from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { registry } from '../registry.ts';

export const SCHEMA_OF = {
  LISTENER: ListenerSchema,
  FILTER_CHAIN: FilterChainSchema,
  NETWORK_FILTER: FilterSchema,
  HTTP_FILTER: HttpFilterSchema,
  ROUTE_CONFIGURATION: RouteConfigurationSchema,
  VIRTUAL_HOST: VirtualHostSchema,
  HTTP_ROUTE: RouteSchema,
  CLUSTER: ClusterSchema,
  EXTENSION_CONFIG: TypedExtensionConfigSchema,
  BOOTSTRAP: BootstrapSchema,
  LISTENER_FILTER: ListenerFilterSchema,
} as const satisfies Record<EnvoyFilterTarget, DescMessage>;

const TYPED_STRUCT = 'type.googleapis.com/xds.type.v3.TypedStruct';
const OLD_TYPED_STRUCT = /\/udpa\.type\.v1\.TypedStruct$/;

export interface ValueProblem {
  path: FieldPath;
  message: string;
}

/** What is wrong with `value`, with paths below it. */
export function valueProblems(applyTo: EnvoyFilterTarget, value: JsonObject): ValueProblem[] {
  const problems: ValueProblem[] = [];
  checkMessage(SCHEMA_OF[applyTo], value, [], problems);
  if (problems.length > 0) return problems;
  try {
    patchValue(applyTo, value);
  } catch (error) {
    problems.push({ path: [], message: (error as Error).message });
  }
  return problems;
}

/** @throws what protobuf-es throws when it does not fit. */
export function patchValue(applyTo: EnvoyFilterTarget, value: JsonObject): Message {
  return fromJson(SCHEMA_OF[applyTo], withKnownTypes(value) as JsonObject, { registry });
}

/** Configuration of a type that is newer than our protos, or not among them, travels as a TypedStruct: Envoy knows what it means. */
function withKnownTypes(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(withKnownTypes);
  if (typeof value !== 'object' || value === null) return value;
  const type = value['@type'];
  if (typeof type !== 'string') return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, withKnownTypes(v)]));
  const { '@type': _, ...fields } = value;
  if (OLD_TYPED_STRUCT.test(type) || type === TYPED_STRUCT)
    return { '@type': TYPED_STRUCT, typeUrl: (fields['type_url'] ?? fields['typeUrl']) as JsonValue, value: fields['value'] ?? {} };
  if (schemaOf(type) !== undefined) return { '@type': type, ...(withKnownTypes(fields) as JsonObject) };
  return { '@type': TYPED_STRUCT, typeUrl: type, value: fields };
}

function schemaOf(typeUrl: string): DescMessage | undefined {
  return registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
}

function checkMessage(schema: DescMessage, value: JsonValue, path: FieldPath, problems: ValueProblem[]): void {
  if (schema.typeName === AnySchema.typeName) return checkAny(value, path, problems);
  // Struct, Duration, wrappers and their like are single values in JSON.
  if (schema.typeName.startsWith('google.protobuf.')) return checkWhole(schema, value, path, problems);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.push({ path, message: `must be an object (${schema.typeName})` });
    return;
  }
  for (const [key, part] of Object.entries(value)) {
    const field = schema.fields.find((f) => f.name === key || f.jsonName === key);
    if (field === undefined) problems.push({ path: [...path, key], message: `${schema.typeName} has no field ${key}` });
    else checkField(schema, field, part, [...path, key], problems);
  }
}

function checkField(schema: DescMessage, field: DescField, value: JsonValue, path: FieldPath, problems: ValueProblem[]): void {
  if (field.fieldKind === 'message') return checkMessage(field.message, value, path, problems);
  if (field.fieldKind === 'list' && field.listKind === 'message' && Array.isArray(value)) {
    for (const [i, item] of value.entries()) checkMessage(field.message, item, [...path, i], problems);
    return;
  }
  if (field.fieldKind === 'map' && field.mapKind === 'message' && typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [key, item] of Object.entries(value)) checkMessage(field.message, item, [...path, key], problems);
    return;
  }
  checkWhole(schema, { [field.name]: value }, path, problems);
}

function checkAny(value: JsonValue, path: FieldPath, problems: ValueProblem[]): void {
  const type = typeof value === 'object' && value !== null && !Array.isArray(value) ? value['@type'] : undefined;
  if (typeof type !== 'string') {
    problems.push({ path: [...path, '@type'], message: 'is required: the type URL of the configuration' });
    return;
  }
  const { '@type': _, ...fields } = value as JsonObject;
  const schema = schemaOf(type);
  // Of types not known here Envoy is the judge.
  if (schema !== undefined && !type.endsWith('.TypedStruct')) checkMessage(schema, fields, path, problems);
}

function checkWhole(schema: DescMessage, value: JsonValue, path: FieldPath, problems: ValueProblem[]): void {
  try {
    fromJson(schema, value, { registry });
  } catch (error) {
    problems.push({ path, message: (error as Error).message.replace(/^cannot (de|en)code (message|field) [\w.]+ from JSON: /, '') });
  }
}

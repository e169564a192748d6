// A YAML text against the store: what it holds, what is wrong with it, what applying it would do.

import {
  type DestinationRuleSpec,
  type ParsedDocument,
  type ServiceSpec,
  type VirtualServiceSpec,
  parseYaml,
  pathOfText,
  resolveHost,
  validateObject,
  yamlPieces,
} from '@weft/mesh-core/config';
import { patchValueProblems } from '@weft/mesh-core/translate';
import type { ConfigCheck } from '@weft/mesh-core/api';
import { type MeshObject, type Problem, refKey, refOf, shownRef } from '@weft/mesh-core/model';
import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { StoredObject, WriteOp } from '../config-store/config-store.ts';
import { deliveryProblems } from './delivery-problems.ts';
import type { ReadyServices } from './services.ts';
import { parentHosts, splitRuleOf, workloadsIn } from './split.ts';

/** Schema and, where it takes Envoy's API to know, contents. */
export function checkObject(input: unknown, document?: ParsedDocument): ReturnType<typeof validateObject> {
  const { object, problems } = validateObject(input, document);
  if (object === undefined) return { problems };
  return { object, problems: [...problems, ...patchValueProblems(object, document?.locate)] };
}

export interface ReadText {
  /** With the document each came from. */
  objects: { object: MeshObject; document: ParsedDocument }[];
  /** Of syntax and schema: an error refuses every write. */
  problems: Problem[];
}

/** Parses and validates every document of `text`. */
export function readText(text: string): ReadText {
  const read: ReadText = { objects: [], problems: [] };
  for (const _ of pieces(text, read));
  return read;
}

/** The same for the server: a long text takes seconds, and everything else goes on meanwhile. */
export async function readTextInTurns(text: string): Promise<ReadText> {
  const read: ReadText = { objects: [], problems: [] };
  for (const _ of pieces(text, read)) await setImmediate();
  return read;
}

/** Adds to `read` what is in the text, piece by piece. */
function* pieces(text: string, { objects, problems }: ReadText): Generator<void> {
  const seen = new Set<string>();
  for (const piece of yamlPieces(text)) {
    const parsed = parseYaml(piece.text, piece.before);
    problems.push(...parsed.problems);
    for (const document of parsed.documents) {
      const result = checkObject(document.value, document);
      problems.push(...result.problems);
      if (result.object === undefined) continue;
      const key = refKey(refOf(result.object));
      if (seen.has(key))
        problems.push({
          severity: 'error',
          code: 'WEFT_DUPLICATE',
          message: `${shownRef(refOf(result.object))} is in the text twice`,
          ref: refOf(result.object),
          ...document.locate(['metadata', 'name']),
        });
      seen.add(key);
      objects.push({ object: result.object, document });
    }
    yield;
  }
  if (objects.length === 0 && problems.length === 0) problems.push({ severity: 'error', code: 'WEFT_EMPTY', message: 'the text has no object' });
}

/** Findings that need the other objects too, for the objects of the text only, with their lines. */
export function crossProblems(services: ReadyServices, read: ReadText): Problem[] {
  const objects = merged(services, read);
  const proxies = services.controlPlane.proxies();
  const found = services.analyze(objects, proxies);
  return inText([...found, ...deliveryProblems(objects, proxies, services.settings.domainSuffix)], read);
}

/** Those of the problems that are about objects of the text, with their lines. */
export function inText(problems: readonly Problem[], read: ReadText): Problem[] {
  const documents = new Map(read.objects.map((o) => [refKey(refOf(o.object)), o.document]));
  return problems.flatMap((problem) => {
    const document = problem.ref === undefined ? undefined : documents.get(refKey(problem.ref));
    return document === undefined ? [] : [{ ...problem, ...document.locate(pathOfText(problem.path ?? '')) }];
  });
}

/** All objects as they would be after the text was applied; those that stay as they are are the stored ones, which what looks at them remembers. */
function merged({ store }: ReadyServices, read: ReadText): MeshObject[] {
  const updates = new Map<MeshObject, MeshObject>();
  const creates: MeshObject[] = [];
  for (const { object } of read.objects) {
    const before = store.get(refOf(object));
    if (before === undefined) creates.push(object);
    else if (verbOf(before, object) === 'update')
      // An object keeps its age: precedence goes by it.
      updates.set(before, { ...object, metadata: { ...object.metadata, creationTimestamp: before.metadata.creationTimestamp } });
  }
  return [...store.list().items.map((o) => updates.get(o) ?? o), ...creates];
}

export function verbOf(before: StoredObject | undefined, object: MeshObject): 'create' | 'update' | 'unchanged' {
  if (before === undefined) return 'create';
  const same =
    before.apiVersion === object.apiVersion &&
    isDeepStrictEqual(before.spec, object.spec) &&
    isDeepStrictEqual(before.metadata.labels ?? {}, object.metadata.labels ?? {}) &&
    isDeepStrictEqual(before.metadata.annotations ?? {}, object.metadata.annotations ?? {});
  return same ? 'unchanged' : 'update';
}

/** Store writes for the text. JSON from programs is not kept as a user's text. */
export function opsOf(read: ReadText, resourceVersions: Readonly<Record<string, string>>): WriteOp[] {
  return read.objects.map(({ object, document }) => {
    const resourceVersion = resourceVersions[refKey(refOf(object))];
    return {
      op: 'put',
      object,
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(document.text.trimStart().startsWith('{') ? {} : { sourceYaml: document.text }),
    };
  });
}

/** Everything the editor shows before a write; nothing is written. */
export async function checkText(services: ReadyServices, yaml: string, now: () => number): Promise<ConfigCheck> {
  const started = now();
  const read = await readTextInTurns(yaml);
  const broken = read.problems.some((p) => p.severity === 'error');
  const problems = broken ? read.problems : [...read.problems, ...crossProblems(services, read)];
  const changed = read.objects.map((o) => o.object).filter((o) => verbOf(services.store.get(refOf(o)), o) !== 'unchanged');
  return {
    problems,
    objects: read.objects.map(({ object }) => ({ ref: refOf(object), verb: verbOf(services.store.get(refOf(object)), object) })),
    proxies: broken || changed.length === 0 ? [] : services.controlPlane.preview(changed.map((object) => ({ object, deleted: false }))).map((p) => ({ ...p })),
    traffic: broken || changed.length === 0 ? [] : movedTraffic(services, read, merged(services, read)),
    checkedMs: now() - started,
  };
}

function movedTraffic({ store, settings, telemetry }: ReadyServices, read: ReadText, after: readonly MeshObject[]): ConfigCheck['traffic'] {
  const before = store.list().items;
  const changed = read.objects.flatMap(({ object }) => [object, store.get(refOf(object)) ?? object]);
  const isTouched = touchedServices(changed, settings.domainSuffix);
  return after
    .filter((o) => o.kind === 'Service' && isTouched(o as MeshObject<ServiceSpec>))
    .flatMap(({ metadata: { namespace, name } }) => {
      const was = splitRuleOf(before, namespace, name, settings.domainSuffix);
      const will = splitRuleOf(after, namespace, name, settings.domainSuffix);
      const subsets = new Set([...was.destinations, ...will.destinations].map((d) => d.subset));
      const weight = (rule: typeof was, subset: string): number => rule.destinations.find((d) => d.subset === subset)?.weight ?? 0;
      const destinations = [...subsets].map((subset) => ({ subset, before: weight(was, subset), after: weight(will, subset) }));
      return destinations.some((d) => d.before !== d.after) ? [{ host: will.host, rps: telemetry.serviceStats(will.host, 30).rps, destinations }] : [];
    });
}

/** Whose split may change with some objects. */
function touchedServices(changed: readonly MeshObject[], domainSuffix: string): (service: MeshObject<ServiceSpec>) => boolean {
  const workloads = workloadsIn(changed);
  const hosts = new Set(
    changed.flatMap((object) => {
      const { kind, metadata, spec } = object;
      const named =
        kind === 'Service'
          ? [metadata.name]
          : kind === 'VirtualService'
            ? ((spec as VirtualServiceSpec).hosts ?? [])
            : kind === 'DestinationRule'
              ? [(spec as DestinationRuleSpec).host]
              : [];
      return [...named.map((host) => resolveHost(host, metadata.namespace, domainSuffix)), ...parentHosts(object, domainSuffix)];
    }),
  );
  return ({ metadata: { name, namespace }, spec }) =>
    hosts.has(resolveHost(name, namespace, domainSuffix)) || workloads(namespace, spec.selector ?? {}).length > 0;
}

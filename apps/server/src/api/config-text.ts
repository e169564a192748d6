// A YAML text against the store: what it holds, what is wrong with it, what applying it would do.

import {
  type DestinationRuleSpec,
  type ParsedDocument,
  type ServiceSpec,
  type VirtualServiceSpec,
  type YamlPiece,
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
import type { ConfigStore, StoredObject, WriteOp } from '../config-store/config-store.ts';
import { deliveryProblems } from './delivery-problems.ts';
import type { ReadyServices } from './services.ts';
import { parentHosts, splitRuleOf, workloadsIn } from './split.ts';

/** Schema and, where it takes Envoy's API to know, contents. */
export function checkObject(input: unknown, document?: ParsedDocument): ReturnType<typeof validateObject> {
  const { object, problems } = validateObject(input, document);
  if (object === undefined) return { problems };
  return { object, problems: [...problems, ...patchValueProblems(object, document?.locate)] };
}

type ReadDocument = Pick<ParsedDocument, 'text' | 'locate'>;

export interface ReadText {
  /** With the document each came from. */
  objects: { object: MeshObject; document: ReadDocument }[];
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
export async function readTextInTurns(text: string, store: ConfigStore): Promise<ReadText> {
  const read: ReadText = { objects: [], problems: [] };
  for (const _ of pieces(text, read, store)) await setImmediate();
  return read;
}

/**
 * Specs that this process has read from a text, without a problem, and that are stored with that text and no other: when it
 * comes again it need not be read. What an earlier version of Weft has read is read again.
 */
const readHere = new WeakSet<object>();

/** From here on it is less work to look through all objects. */
const LONG_TEXT = 32_768;

/** Objects as they are stored, by their texts. */
function storedByText(store: ConfigStore): Map<string, StoredObject> {
  const found = new Map<string, StoredObject>();
  for (const object of store.list().items) {
    const text = readHere.has(object.spec as object) ? store.sourceYaml(refOf(object)) : undefined;
    if (text !== undefined) found.set(text, object);
  }
  return found;
}

/** Adds to `read` what is in the text, piece by piece. */
function* pieces(text: string, { objects, problems }: ReadText, store?: ConfigStore): Generator<void> {
  const seen = new Set<string>();
  const add = (object: MeshObject, document: ReadDocument): void => {
    const ref = refOf(object);
    const key = refKey(ref);
    if (seen.has(key))
      problems.push({
        severity: 'error',
        code: 'WEFT_DUPLICATE',
        message: `${shownRef(ref)} is in the text twice`,
        ref,
        ...document.locate(['metadata', 'name']),
      });
    seen.add(key);
    objects.push({ object, document });
  };
  const known = store !== undefined && text.length > LONG_TEXT ? storedByText(store) : undefined;
  for (const piece of yamlPieces(text, (document) => known?.get(document))) {
    if (piece.known !== undefined) {
      add(piece.known, readLater(store?.sourceYaml(refOf(piece.known)) ?? '', piece));
      if (objects.length % 500 === 0) yield;
      continue;
    }
    const parsed = parseYaml(piece.text, piece.before);
    problems.push(...parsed.problems);
    for (const document of parsed.documents) {
      const result = checkObject(document.value, document);
      problems.push(...result.problems);
      if (result.object === undefined) continue;
      const ref = refOf(result.object);
      const stored = store?.get(ref);
      const same = stored !== undefined && verbOf(stored, result.object) === 'unchanged';
      const object = same ? stored : result.object;
      if (result.problems.length === 0 && (!same || store?.sourceYaml(ref) === document.text)) readHere.add(object.spec as object);
      add(object, document);
    }
    yield;
  }
  if (objects.length === 0 && problems.length === 0) problems.push({ severity: 'error', code: 'WEFT_EMPTY', message: 'the text has no object' });
}

/** The text of an object, read for the places of problems only. */
function readLater(source: string, { text, before }: YamlPiece): ReadDocument {
  let document: ParsedDocument | undefined;
  return { text: source, locate: (path) => (document ??= parseYaml(text, before).documents[0])?.locate(path) ?? {} };
}

/** Findings that need the other objects too, for the objects of the text only, with their lines. */
export async function crossProblems(services: ReadyServices, read: ReadText): Promise<Problem[]> {
  const objects = merged(services, read);
  const proxies = services.controlPlane.proxies();
  const found = await services.analyze(objects, proxies);
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
  const read = await readTextInTurns(yaml, services.store);
  const broken = read.problems.some((p) => p.severity === 'error');
  const problems = broken ? read.problems : [...read.problems, ...(await crossProblems(services, read))];
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
  const statsOf = telemetry.serviceStats(30);
  const isTouched = touchedServices(changed, settings.domainSuffix);
  return after
    .filter((o) => o.kind === 'Service' && isTouched(o as MeshObject<ServiceSpec>))
    .flatMap(({ metadata: { namespace, name } }) => {
      const was = splitRuleOf(before, namespace, name, settings.domainSuffix);
      const will = splitRuleOf(after, namespace, name, settings.domainSuffix);
      const subsets = new Set([...was.destinations, ...will.destinations].map((d) => d.subset));
      const weight = (rule: typeof was, subset: string): number => rule.destinations.find((d) => d.subset === subset)?.weight ?? 0;
      const destinations = [...subsets].map((subset) => ({ subset, before: weight(was, subset), after: weight(will, subset) }));
      return destinations.some((d) => d.before !== d.after) ? [{ host: will.host, rps: statsOf(will.host).rps, destinations }] : [];
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

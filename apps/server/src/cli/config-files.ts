// Configuration files as one text, and from its lines back to those of the files.

import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_YAML_BYTES } from '@weft/mesh-core/config';
import { type Document, LineCounter, type YAMLMap, isMap, isSeq, parseAllDocuments } from 'yaml';
import { StartError } from '../agent/errors.ts';

export interface ConfigText {
  text: string;
  /** `line 3`, of several files `vs.yaml line 3`. */
  placeOf(line: number): string;
}

interface Part {
  name: string;
  text: string;
}

const SEPARATOR = '\n---\n';

/** Files, the YAML and JSON of directories, `-` for standard input. */
export function readFiles(paths: readonly string[], namespace?: string): ConfigText {
  const files = joined(paths.flatMap(partsOf), namespace);
  const bytes = Buffer.byteLength(files.text);
  if (bytes > MAX_YAML_BYTES) throw new StartError('WEFT_USAGE', `the files have ${bytes} bytes; at most ${MAX_YAML_BYTES} are taken at a time: name fewer`);
  return files;
}

function partsOf(path: string): Part[] {
  if (path === '-') return [{ name: 'standard input', text: readFileSync(0, 'utf8') }];
  const files = statSync(path, { throwIfNoEntry: false });
  if (files === undefined) throw new StartError('WEFT_USAGE', `there is no file ${path}`);
  if (!files.isDirectory()) return [{ name: path, text: readFileSync(path, 'utf8') }];
  const names = readdirSync(path).filter((f) => /\.(ya?ml|json)$/.test(f));
  if (names.length === 0) throw new StartError('WEFT_USAGE', `the directory ${path} has no file that ends in .yaml, .yml or .json`);
  return names.toSorted().map((f) => ({ name: join(path, f), text: readFileSync(join(path, f), 'utf8') }));
}

/** With `namespace` written into the objects that name none; an object of another namespace is refused, as kubectl does. */
export function joined(parts: readonly Part[], namespace?: string): ConfigText {
  const { text, added } =
    namespace === undefined ? { text: parts.map((p) => p.text).join(SEPARATOR), added: [] } : inNamespace(parts.map((p) => p.text).join(SEPARATOR), namespace);
  const starts: { name: string; line: number }[] = [];
  let line = 1;
  for (const part of parts) {
    starts.push({ name: part.name, line });
    line += part.text.split('\n').length + SEPARATOR.split('\n').length - 2;
  }
  return {
    text,
    placeOf: (at) => {
      const before = at - added.filter((a) => a < at).length;
      const start = starts.findLast((s) => s.line <= before);
      const own = before - (start?.line ?? 1) + 1;
      return parts.length < 2 || start === undefined ? `line ${own}` : `${start.name} line ${own}`;
    },
  };
}

/** Written into the text as it stands, so that comments and lines stay. `added`: lines of the result that were not there. */
function inNamespace(text: string, namespace: string): { text: string; added: number[] } {
  const counter = new LineCounter();
  const inserts: { at: number; what: string }[] = [];
  for (const object of parseAllDocuments(text, { lineCounter: counter }).flatMap(objectsOf)) {
    const own = object.getIn(['metadata', 'namespace']);
    if (own !== undefined && own !== namespace)
      throw new StartError(
        'WEFT_USAGE',
        `${String(object.get('kind'))} ${String(object.getIn(['metadata', 'name']))} is of namespace ${String(own)}, not ${namespace}: leave -n out, or change the file`,
      );
    const metadata = object.get('metadata', true);
    if (own !== undefined || !isMap(metadata) || metadata.range == null) continue;
    const [at] = metadata.range;
    const { col } = counter.linePos(at);
    if (metadata.flow === true) inserts.push({ at: at + 1, what: ` namespace: ${namespace},` });
    else inserts.push({ at, what: `namespace: ${namespace}\n${' '.repeat(col - 1)}` });
  }
  let result = text;
  for (const { at, what } of inserts.toReversed()) result = result.slice(0, at) + what + result.slice(at);
  const lines = inserts.filter((i) => i.what.includes('\n')).map((i) => counter.linePos(i.at).line);
  return { text: result, added: lines.map((line, i) => line + i) };
}

/** Of a `List` its items. */
function objectsOf({ contents }: Document.Parsed): YAMLMap[] {
  if (!isMap(contents)) return [];
  const object: YAMLMap = contents;
  const items = object.get('kind') === 'List' ? object.get('items', true) : undefined;
  return isSeq(items) ? items.items.filter((item) => isMap(item)) : [object];
}

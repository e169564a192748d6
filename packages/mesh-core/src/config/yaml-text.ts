// YAML text to documents with places: every later problem can be told with its line.

import { type Document, Lexer, LineCounter, isCollection, isMap, isNode, isPair, isScalar, parseAllDocuments, parseDocument, stringify, visit } from 'yaml';
import { type MeshObject, type Problem, findKind, manifestKind } from '../model/index.ts';
import { YamlEditError } from './errors.ts';
import type { FieldPath } from './field-path.ts';

/** Of one text; the API takes no more at a time. */
export const MAX_YAML_BYTES = 4_194_304;
/** Of one document, and so of one `List`: it is read in one go. */
export const MAX_DOCUMENT_BYTES = 1_048_576;
const MAX_DEPTH = 100;

export interface ParsedDocument {
  /** The plain value. */
  value: unknown;
  /** The document's own text, comments kept. */
  text: string;
  /** Place of the value at `path`, or of its nearest parent that exists. */
  locate(path: FieldPath): Pick<Problem, 'line' | 'column' | 'endLine' | 'endColumn'>;
}

/** The line that begins a document, after its comments if there are any; what else stands in it is part of the document. */
const MARKER = /^((?:[ \t]*(?:#.*)?\n)*)---[ \t]*(?:#.*)?\n/;

/** One with nothing else in its line. */
const BARE_MARKER = /^---[ \t]*\n/;

const ONLY_COMMENTS = /^(?:---[ \t]*\n)?(?:[ \t]*(?:#.*)?\r?\n)+$/;

/** What `parseYaml` reads at a time, or one document. About 5 ms of work, five times that while the code is new. */
const PIECE_LENGTH = 8_192;

export interface YamlPiece<K = unknown> {
  text: string;
  /** Lines above the piece. */
  before: number;
  /** The piece is one document that `known` knows. */
  known?: K;
}

/** The whole documents of a long text, a few at a time, so that reading it can be done in turns. `known`: what a document's text is known to be, so that it need not be read. */
export function* yamlPieces<K>(text: string, known: (document: string) => K | undefined = () => undefined): Generator<YamlPiece<K>> {
  let from = 0;
  let to = 0;
  let before = 0;
  const cut = (at: number): YamlPiece<K> => {
    const piece = { text: text.slice(from, at), before };
    before += piece.text.split('\n').length - 1;
    from = at;
    return piece;
  };
  /** What stands above a document is part of its text. */
  let above = false;
  // Directives and ends of documents say how the next is read.
  const alone = !/^(?:%|\.\.\.)/m.test(text);
  for (const index of [...markersOf(text), text.length]) {
    const document = text.slice(to, index);
    const found = alone && !above ? known(document.replace(BARE_MARKER, '')) : undefined;
    above = ONLY_COMMENTS.test(document);
    if (to > from && (found !== undefined || index - from > PIECE_LENGTH)) yield cut(to);
    if (found !== undefined) yield { ...cut(index), known: found };
    to = index;
  }
  yield cut(text.length);
}

/** `---` at the start of a line begins a document wherever it stands, inside of strings too. */
function markersOf(text: string): number[] {
  return Array.from(text.matchAll(/^---(?=\s|$)/gm), ({ index }) => index);
}

/** Parses one or several YAML documents; a `List` of Kubernetes is its items. Refuses aliases and nesting beyond 100; empty documents are skipped. `before`: lines above the text. */
export function parseYaml(text: string, before = 0): { documents: ParsedDocument[]; problems: Problem[] } {
  const bytes = utf8Length(text);
  if (bytes > MAX_DOCUMENT_BYTES)
    return refused(
      'WEFT_YAML_TOO_LARGE',
      `a document of ${bytes} bytes; at most ${MAX_DOCUMENT_BYTES} are taken: write it as several, with --- between`,
      before + 1,
    );
  const lines = new LineCounter();
  const place = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: before + line, column: col };
  };
  const brackets = tooManyBrackets(text);
  if (brackets !== undefined) return refused('WEFT_YAML_DEPTH', `nesting is deeper than ${MAX_DEPTH}`, before + brackets);
  const parsed = compose(text, lines);
  if (parsed === undefined) return refused('WEFT_YAML_DEPTH', `nesting is deeper than ${MAX_DEPTH}`);
  const documents: ParsedDocument[] = [];
  const problems: Problem[] = [];
  // Comments before a document's first node are its own, though they lie outside its range.
  let end = 0;
  for (const document of parsed) {
    const from = end;
    end = document.range[2];
    const found = document.errors.map((error): Problem => ({ severity: 'error', code: 'WEFT_YAML_SYNTAX', message: error.message, ...place(error.pos[0]) }));
    const deep = tooDeep(document.contents);
    if (deep !== undefined) found.push({ severity: 'error', code: 'WEFT_YAML_DEPTH', message: `nesting is deeper than ${MAX_DEPTH}`, ...place(deep) });
    else
      visit(document, {
        Alias: (_, node) => {
          found.push({
            severity: 'error',
            code: 'WEFT_YAML_ALIAS',
            message: `the alias *${node.source} is not taken: write the value out`,
            ...place(node.range?.[0] ?? 0),
          });
        },
        // The parser's own check compares every key with every other: seconds for a map of thousands.
        Map: (_, node) => {
          const seen = new Set<unknown>();
          for (const { key } of node.items) {
            if (!isScalar(key)) continue;
            if (seen.has(key.value))
              found.push({
                severity: 'error',
                code: 'WEFT_YAML_SYNTAX',
                message: `the key ${String(key.value)} is there twice`,
                ...place(key.range?.[0] ?? 0),
              });
            seen.add(key.value);
          }
        },
      });
    problems.push(...found);
    if (found.length > 0) continue;
    const value: unknown = document.toJS();
    if (value === null || value === undefined) continue;
    const items = itemsOf(value);
    if (items === undefined)
      documents.push({ value, text: text.slice(from, document.range[2]).replace(MARKER, '$1'), locate: (path) => locate(document, place, path) });
    else
      documents.push(
        ...items.map((item, i) => ({
          value: item,
          text: stringify(item, { lineWidth: 0 }),
          locate: (path: FieldPath) => locate(document, place, ['items', i, ...path]),
        })),
      );
  }
  return { documents, problems };
}

/** What `kubectl get -o yaml` writes of several objects. */
function itemsOf(value: unknown): readonly unknown[] | undefined {
  const { apiVersion, kind, items } = value as { apiVersion?: unknown; kind?: unknown; items?: unknown };
  return apiVersion === 'v1' && kind === 'List' && Array.isArray(items) ? items : undefined;
}

function refused(code: string, message: string, line?: number): { documents: ParsedDocument[]; problems: Problem[] } {
  return { documents: [], problems: [{ severity: 'error', code, message, ...(line === undefined ? {} : { line }) }] };
}

/** Undefined when the nesting is too deep for the parser itself, which recurses. */
function compose(text: string, lines: LineCounter): Document.Parsed[] | undefined {
  try {
    const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
    return Array.isArray(parsed) ? parsed : [];
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_00_00 ? 3 : 4;
  }
  return bytes;
}

/** Line of the first bracket nested too deep, from the tokens alone: before the real parser spends time on them. */
function tooManyBrackets(text: string): number | undefined {
  // Most texts have not even so many, which is quicker to see.
  if ((text.match(/[[{]/g)?.length ?? 0) <= MAX_DEPTH) return undefined;
  let line = 1;
  let depth = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth -= 1;
    if (depth > MAX_DEPTH) return line;
    for (const char of token) if (char === '\n') line += 1;
  }
  return undefined;
}

/** Offset of the first node nested too deep. Not recursive: it decides whether recursing is safe. */
function tooDeep(root: unknown): number | undefined {
  const open: { node: unknown; depth: number }[] = [{ node: root, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, depth } = next;
    if (depth > MAX_DEPTH) return isNode(node) ? (node.range?.[0] ?? 0) : 0;
    if (isPair(node)) open.push({ node: node.key, depth }, { node: node.value, depth });
    else if (isCollection(node)) for (const item of node.items) open.push({ node: item, depth: depth + 1 });
  }
  return undefined;
}

function locate(
  document: Document,
  place: (offset: number) => { line: number; column: number },
  path: FieldPath,
): Pick<Problem, 'line' | 'column' | 'endLine' | 'endColumn'> {
  for (let length = path.length; length >= 0; length -= 1) {
    const head = path.slice(0, length);
    const parent = length === 0 ? undefined : head.slice(0, -1);
    const holder: unknown = parent === undefined ? undefined : parent.length === 0 ? document.contents : document.getIn(parent, true);
    const key = isMap(holder) ? holder.items.find((item) => isScalar(item.key) && item.key.value === head.at(-1))?.key : undefined;
    const node: unknown = length === 0 ? document.contents : document.getIn(head, true);
    // A scalar is marked itself; a block, or a key without a value, at its key.
    const marked = isScalar(node) && node.range ? node : isScalar(key) ? key : node;
    const range = isNode(marked) ? marked.range : undefined;
    if (range === undefined || range === null) continue;
    const end = place(isScalar(marked) ? range[1] : range[0]);
    return { ...place(range[0]), endLine: end.line, endColumn: end.column };
  }
  return {};
}

/** YAML of an object in the order people write it. Server-set metadata is left out. */
export function toYaml(object: MeshObject): string {
  const { name, namespace, labels, annotations } = object.metadata;
  const kind = findKind(object.kind);
  return stringify(
    {
      apiVersion: object.apiVersion,
      kind: kind === undefined ? object.kind : manifestKind(kind),
      metadata: { name, ...(kind?.clusterScoped === true ? {} : { namespace }), ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) },
      spec: object.spec,
    },
    { lineWidth: 0 },
  );
}

/**
 * Sets values in a YAML text (removes those set to undefined); comments and the layout of everything else stay.
 * A scalar in place of a scalar changes no other character; larger edits may move a comment beside a block's key to the next line. Throws YamlEditError when the text is no YAML or a path leads through a scalar.
 */
export function editYaml(text: string, edits: readonly { path: FieldPath; value: unknown }[]): string {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false });
  const [error] = document.errors;
  if (error !== undefined) throw new YamlEditError(`the text cannot be edited: ${error.message}`);
  const splices = edits.map(({ path, value }) => splice(document.getIn(path, true), value));
  if (splices.every((s) => s !== undefined))
    return splices.toSorted((a, b) => b.from - a.from).reduce((result, { from, to, value }) => result.slice(0, from) + value + result.slice(to), text);
  for (const { path, value } of edits) {
    try {
      if (value === undefined) document.deleteIn(path);
      else document.setIn(path, value);
    } catch (cause) {
      throw new YamlEditError(`${path.join('.')} cannot be set: a part of the path is no map or list`, { cause });
    }
  }
  // Lists that stand at the column of their key stay there.
  const indentSeq = !/^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*#[^\n]*\n)*\1- /m.test(text);
  return document.toString({ lineWidth: 0, flowCollectionPadding: /\{ /.test(text), indentSeq });
}

/** The replacement of one scalar's characters by another's; undefined when it takes more than that. */
function splice(node: unknown, value: unknown): { from: number; to: number; value: string } | undefined {
  if (!isScalar(node) || !node.range || node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED' || node.range[0] === node.range[1]) return undefined;
  const [from, to] = node.range;
  if (typeof value === 'number' || typeof value === 'boolean') return { from, to, value: String(value) };
  if (typeof value !== 'string') return undefined;
  return { from, to, value: /^[\w./-]+$/.test(value) && stringify(value).trimEnd() === value ? value : JSON.stringify(value) };
}

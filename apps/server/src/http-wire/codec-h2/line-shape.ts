// Lines as one message after the other has them: the same ones, but for a few values. What all of them are encoded as is known then.

export interface LineShape {
  /** Characters of the lines it is for, all told: values that differ, such as ids, are mostly of one length. */
  readonly length: number;
  /** Entries the table had seen; each more shifts every index. */
  readonly inserted: number;
  /** Undefined until such lines come a second time, and when they have no shape. */
  parts: readonly ShapePart[] | undefined;
  /** Messages of this length that looked otherwise, or without a shape at all. */
  misses: number;
}

interface ShapePart {
  /** Lines as they come, up to the value that differs. */
  text: string;
  /** What they are encoded as, up to that value. */
  code: string;
  /** A value and its line end follow, as a string without coding. */
  open: boolean;
}

const crlf = '\r\n';

/** What the lines are encoded as; undefined when they look otherwise. */
export function encodeShaped(parts: readonly ShapePart[], lines: string, asString: (value: string) => string): string | undefined {
  let block = '';
  let at = 0;
  for (const { text, code, open } of parts) {
    const from = at;
    at += text.length;
    // A tenth of what startsWith() takes for texts as long as these.
    if (lines.slice(from, at) !== text) return undefined;
    block += code;
    if (!open) continue;
    const end = lines.indexOf(crlf, at);
    // White space around a value is not part of it.
    if (end <= at || lines.charCodeAt(at) <= 0x20 || lines.charCodeAt(end - 1) <= 0x20) return undefined;
    block += asString(lines.slice(at, end));
    at = end + 2;
  }
  return at === lines.length ? block : undefined;
}

/** How a line is encoded: whole, or up to its value; undefined = not the same the next time. */
export type LineCode = { code: string; open: boolean } | undefined;

/** Undefined when a line has no fixed code. */
export function shapeOf(lines: string, codeOf: (line: string) => LineCode): readonly ShapePart[] | undefined {
  const parts: ShapePart[] = [];
  let text = '';
  let code = '';
  const add = (open: boolean): void => {
    parts.push({ text: flat(text), code: flat(code), open });
    text = code = '';
  };
  for (let start = 0; start < lines.length;) {
    const end = lines.indexOf(crlf, start);
    const line = lines.slice(start, end);
    const known = codeOf(line);
    if (known === undefined) return undefined;
    code += known.code;
    text += known.open ? line.slice(0, line.indexOf(': ') + 2) : line + crlf;
    if (known.open) add(true);
    start = end + 2;
  }
  if (text !== '') add(false);
  return parts;
}

/** In one piece. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

// CEL text to a tree, by the precedence of cel-spec.

export class CelError extends Error {
  readonly code = 'WEFT_CEL';
}

export type CelNode =
  | { kind: 'literal'; value: boolean | number | string | null }
  | { kind: 'name'; name: string }
  | { kind: 'select'; of: CelNode; field: string }
  | { kind: 'index'; of: CelNode; key: CelNode }
  | { kind: 'call'; name: string; on: CelNode | undefined; args: CelNode[] }
  | { kind: 'list'; items: CelNode[] }
  | { kind: 'not' | 'minus'; of: CelNode }
  | { kind: 'binary'; operator: string; left: CelNode; right: CelNode }
  | { kind: 'choice'; test: CelNode; yes: CelNode; no: CelNode };

interface Token {
  kind: 'number' | 'string' | 'name' | 'sign' | 'end';
  text: string;
  at: number;
}

const TOKEN =
  /\s*(?:(?<number>0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)u?|(?<string>[rR]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))|(?<name>[A-Za-z_]\w*)|(?<sign>\|\||&&|[=!<>]=|[-+*/%!<>?:.,()[\]]))/y;
/** Loosest first. */
const LEVELS: readonly (readonly string[])[] = [['||'], ['&&'], ['==', '!=', '<', '<=', '>', '>=', 'in'], ['+', '-'], ['*', '/', '%']];
const WORDS: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null };
/** Deeper ones are nobody's filter, and would use up the stack. */
const MAX_DEPTH = 64;

/** @throws CelError */
export function parseCel(expression: string): CelNode {
  const tokens = tokenize(expression);
  let next = 0;
  let depth = 0;
  const peek = (): Token => tokens[next] as Token;
  const fail = (): never => {
    const { text, at } = peek();
    throw new CelError(`${text === '' ? 'it ends too early' : `${text} is unexpected`} at position ${at}`);
  };
  const take = (text: string): boolean => {
    const { kind, text: found } = peek();
    if (found !== text || (kind !== 'sign' && kind !== 'name')) return false;
    next++;
    return true;
  };
  const expect = (text: string): void => {
    if (!take(text)) fail();
  };
  const list = (end: string): CelNode[] => {
    const items: CelNode[] = [];
    while (!take(end)) {
      if (items.length > 0) expect(',');
      items.push(expressionAt());
    }
    return items;
  };
  const expressionAt = (): CelNode => {
    if (++depth > MAX_DEPTH) throw new CelError('it is nested too deeply');
    const test = binary(0);
    let node = test;
    if (take('?')) {
      const yes = binary(0);
      expect(':');
      node = { kind: 'choice', test, yes, no: expressionAt() };
    }
    depth--;
    return node;
  };
  const binary = (level: number): CelNode => {
    const operators = LEVELS[level];
    if (operators === undefined) return unary();
    let left = binary(level + 1);
    for (;;) {
      const operator = operators.find(take);
      if (operator === undefined) return left;
      left = { kind: 'binary', operator, left, right: binary(level + 1) };
    }
  };
  const unary = (): CelNode => {
    if (++depth > MAX_DEPTH) throw new CelError('it is nested too deeply');
    const sign = take('!') ? 'not' : take('-') ? 'minus' : undefined;
    const node: CelNode = sign === undefined ? postfix(primary()) : { kind: sign, of: unary() };
    depth--;
    return node;
  };
  const postfix = (node: CelNode): CelNode => {
    for (;;) {
      if (take('.')) {
        const { kind, text } = peek();
        if (kind !== 'name') fail();
        next++;
        node = take('(') ? { kind: 'call', name: text, on: node, args: list(')') } : { kind: 'select', of: node, field: text };
      } else if (take('[')) {
        node = { kind: 'index', of: node, key: expressionAt() };
        expect(']');
      } else return node;
    }
  };
  const primary = (): CelNode => {
    const { kind, text } = peek();
    if (take('(')) {
      const inner = expressionAt();
      expect(')');
      return inner;
    }
    if (take('[')) return { kind: 'list', items: list(']') };
    if (kind === 'sign' || kind === 'end') fail();
    next++;
    if (kind === 'number') return { kind: 'literal', value: Number(text) };
    if (kind === 'string') return { kind: 'literal', value: unquote(text) };
    const word = WORDS[text];
    if (word !== undefined) return { kind: 'literal', value: word };
    return take('(') ? { kind: 'call', name: text, on: undefined, args: list(')') } : { kind: 'name', name: text };
  };
  const node = expressionAt();
  if (peek().kind !== 'end') fail();
  return node;
}

function tokenize(expression: string): Token[] {
  const tokens: Token[] = [];
  const end = expression.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const groups = TOKEN.exec(expression)?.groups;
    if (groups === undefined) throw new CelError(`${expression.slice(at).trimStart().slice(0, 1)} is unexpected at position ${at}`);
    const [kind = 'sign', text = ''] = Object.entries(groups).find(([, value]) => value !== undefined) ?? [];
    tokens.push({ kind: kind as Token['kind'], text, at });
  }
  return [...tokens, { kind: 'end', text: '', at: end }];
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', a: '\u0007', b: '\b', f: '\f', v: '\v' };

function unquote(text: string): string {
  if (/^[rR]/.test(text)) return text.slice(2, -1);
  return text.slice(1, -1).replaceAll(/\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))/g, (_, wide?: string, byte?: string, one = '') => {
    const hex = wide ?? byte;
    return hex === undefined ? (ESCAPES[one as string] ?? String(one)) : String.fromCharCode(Number.parseInt(hex, 16));
  });
}

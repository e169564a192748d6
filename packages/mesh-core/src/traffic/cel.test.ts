import { expect, test } from 'vitest';
import { CelError, type CelValue, compileCel } from './cel.ts';

interface Source {
  code: number;
  headers: Record<string, string>;
}
const attributes = (name: string): ((source: Source) => CelValue) | undefined => {
  switch (name) {
    case 'response.code':
      return ({ code }) => code;
    case 'request.headers':
      return ({ headers }) => ({ get: (key) => headers[key] });
    case 'metadata':
      return () => ({ a: { b: 'c' }, list: [1, 2] });
    case 'absent':
      return () => undefined;
    default:
      return undefined;
  }
};
const evaluate = (text: string, source: Source = { code: 503, headers: { 'user-agent': 'curl/8', host: 'a.test' } }): CelValue =>
  compileCel(text, attributes)(source);

test.each<[string, CelValue]>([
  ['response.code >= 500', true],
  ['response.code == 503 && !(response.code < 500)', true],
  ['response.code in [200, 503]', true],
  ['1 + 2 * 3 - 4 / 2', 5],
  ['-response.code % 10', -3],
  ['(1 + 2) * 3', 9],
  ['response.code > 499 ? "bad" : "good"', 'bad'],
  [`request.headers['User-Agent'].startsWith("curl")`, true],
  [`request.headers["host"].matches("^a\\\\.t")`, true],
  [`matches(request.headers["host"], r'st$')`, true],
  [`request.headers.host.contains('test') && request.headers.host.endsWith("t")`, true],
  [`'user-agent' in request.headers`, true],
  [`'x' in request.headers`, false],
  ['has(request.headers.host)', true],
  ['has(request.headers.x)', false],
  [`!has(request.headers.x) || request.headers.x == 'y'`, true],
  [`request.headers['x'] == 'y'`, undefined],
  [`request.headers['x'] == 'y' || true`, true],
  [`request.headers['x'] == 'y' && false`, false],
  ['absent == 1', undefined],
  ['metadata.a.b', 'c'],
  ['metadata["list"][1]', 2],
  ['size("abc") == 3 && size([1, 2]) == 2', true],
  [`int("42") + 1`, 43],
  [`string(response.code) + "!"`, '503!'],
  ['duration("1m30s") > duration("1500ms")', true],
  [`"\\u0041\\x42\\n"`, 'AB\n'],
  ['null == null', true],
  ['"a" < "b"', true],
  ['1 == "1"', false],
  ['1 / 0', undefined],
])('%s', (text, value) => expect(evaluate(text)).toEqual(value));

test.each([
  ['response.code >=', 'it ends too early'],
  ['response.code = 1', '= is unexpected'],
  ['nobody.knows', 'nobody is not known here'],
  ['request.headers.host.format("x")', 'the function format is not known here'],
  [`"a".matches("(")`, 'is not an RE2 pattern'],
  ['1 1', '1 is unexpected at position 1'],
  ['has(1)', 'has'],
  [`${'('.repeat(100)}1${')'.repeat(100)}`, 'nested too deeply'],
  [`${'!'.repeat(100)}true`, 'nested too deeply'],
])('%s is refused', (text, message) => expect(() => evaluate(text)).toThrow(message));

test('errors have a class', () => expect(() => evaluate('x')).toThrow(CelError));

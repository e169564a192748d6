// What people write: YAML, formats, patterns. It is taken or refused with a reason, in bounded time.

import { parseYaml, validateObject } from '@weft/mesh-core/config';
import { compileRegex, compileSubstitution, RegexError, SubstitutionError } from '@weft/mesh-core/traffic';
import { compileHeaderValue } from '../../src/proxy/http/header-values.ts';
import type { Random } from './random.ts';
import type { Target } from './target.ts';
import { bookinfo } from './xds.ts';

const yamlPieces = [
  '\n',
  '  ',
  ': ',
  '- ',
  '{',
  '}',
  '[',
  ']',
  '&a ',
  '*a',
  '"',
  "'",
  '|',
  '>',
  '#',
  '!!',
  '---\n',
  'null',
  '-1',
  '1e999',
  '\0',
  '__proto__: x\n',
  '\u{1f600}',
];
const formats = ['%REQ(:path)%', '%REQ(x?y):3%', '%%', '%PROTOCOL%', '%START_TIME(%s)%', '%DYNAMIC_METADATA(a:b)%', '%RESPONSE_CODE% plain'];
const formatPieces = ['%', '%%', '(', ')', ':', '?', '9', 'REQ', 'X', ' ', '\r\n', '"', '[', '%REQ(', ')%', '9'.repeat(400)];
const patterns = ['^/a(b|c)*$', '(a+)+$', '[a-z]{1,30}', '(?i)x.*y', '(?P<name>\\w+)/\\d+', '(.*)(.*)(.*)x'];
const patternPieces = [
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  '*',
  '+',
  '?',
  '|',
  '\\',
  '^',
  '$',
  '.',
  '(?i)',
  '(?=',
  '{1000}',
  '{1001}',
  '\\p{',
  '\\C',
  '\0',
  '\xff',
  '[:alpha:]',
];

function refusedOnlyBy<T>(kind: new (...parts: never[]) => Error, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof kind) return undefined;
    throw error;
  }
}

export function configTargets(): Target[] {
  const documents = bookinfo.split(/^---$/m);
  return [
    {
      name: 'yaml',
      make: (random: Random) => random.mutate(random.pick(documents), yamlPieces),
      check(input) {
        const parsed = parseYaml(input);
        for (const document of parsed.documents) validateObject(document.value, document);
        return parsed.problems.length === 0;
      },
    },
    {
      name: 'substitution',
      make: (random) => random.mutate(random.pick(formats) + random.pick(formats), formatPieces),
      check(input) {
        refusedOnlyBy(SubstitutionError, () => compileHeaderValue(input));
        const compiled = refusedOnlyBy(SubstitutionError, () => compileSubstitution<string>(input, (command) => (source) => command + source, '-'));
        if (typeof compiled === 'function') compiled('value');
        return compiled !== undefined;
      },
    },
    {
      name: 'regex',
      make: (random) => random.mutate(random.pick(patterns), patternPieces),
      check(input) {
        const compiled = refusedOnlyBy(RegexError, () => compileRegex(input));
        compiled?.testExact('a'.repeat(500) + '!');
        return compiled !== undefined;
      },
    },
  ];
}

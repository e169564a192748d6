import { expect, test } from 'vitest';
import { pathOfText, pathText } from './field-path.ts';

test.each([
  ['', []],
  ['spec.http[0].route[1].weight', ['spec', 'http', 0, 'route', 1, 'weight']],
  ['metadata.annotations["istio.io/dry-run"]', ['metadata', 'annotations', 'istio.io/dry-run']],
  ['["a.b"][2]', ['a.b', 2]],
])('%j is the text of a path, and read as it', (text, path) => {
  expect(pathText(path)).toBe(text);
  expect(pathOfText(text)).toEqual(path);
});

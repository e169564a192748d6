// Istio's own verdicts (shared/corpus, outside this repository) against ours, for the kinds Weft serves.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { kindOfManifest } from '../model/index.ts';
import { validateObject } from './validate.ts';
import { parseYaml } from './yaml-text.ts';

const corpus = process.env['WEFT_CORPUS'] ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../../../../shared/corpus');
const present = existsSync(join(corpus, 'istio'));
if (!present) console.warn(`skipped: Istio's conformance corpus is not at ${corpus}; set WEFT_CORPUS`);

const NULL = 'Istio in Go sees no difference between null and absent; the Kubernetes CRD, and so Weft, refuses null';
/** Every case where Weft decides otherwise, and why. */
const DEVIATIONS: Readonly<Record<string, string>> = {
  'validation/httproute-029.yaml': NULL,
  'validation/httproute-033.yaml': NULL,
  'validation/httproute-037.yaml': NULL,
  'validation/virtualservice-006.yaml': NULL,
  'validation/delegatehttproute-018.yaml': NULL,
  'validation/delegatehttproute-019.yaml': NULL,
  'crd/api-workloadentry-valid-002.yaml':
    'an address may be left out where an east-west gateway of another network stands in; Weft has one network, so an entry without address could take no traffic',
  'validation/requestauthentication-008.yaml': 'the CRD, and so Weft, refuses an empty issuer; it may be left out where there is a jwksUri',
  'crd/istio-reqauth-valid-001.yaml': 'presence, new with 1.31, is not served and so is an unknown field',
};

interface Case {
  file: string;
  expect: 'valid' | 'invalid';
}
const casesOf = (folder: string): Case[] => JSON.parse(readFileSync(join(corpus, 'istio', `${folder}-index.json`), 'utf8')) as Case[];

/** Error messages for one corpus file; undefined when it has a kind Weft does not serve. */
function errorsIn(file: string): string[] | undefined {
  const { documents, problems } = parseYaml(readFileSync(join(corpus, 'istio', file), 'utf8'));
  const served = ({ kind, apiVersion = '' }: { kind?: string; apiVersion?: string }): boolean => {
    const known = kindOfManifest(kind, apiVersion);
    return known !== undefined && apiVersion.startsWith(known.group);
  };
  if (!documents.every((d) => served(d.value as object))) return undefined;
  return [...problems, ...documents.flatMap((d) => validateObject(d.value, d).problems)]
    .filter((p) => p.severity === 'error')
    .map((p) => `${p.path}: ${p.message}`);
}

test.skipIf(!present)('verdicts agree with Istio but for the known deviations', () => {
  const wrong: string[] = [];
  let count = 0;
  for (const { file, expect: verdict } of [...casesOf('validation'), ...casesOf('crd')]) {
    const errors = errorsIn(file);
    if (errors === undefined) continue;
    count += 1;
    if ((errors.length === 0) !== (verdict === 'valid')) wrong.push(file);
  }
  expect(count).toBeGreaterThan(350);
  expect(wrong.toSorted()).toEqual(Object.keys(DEVIATIONS).toSorted());
  expect((count - wrong.length) / count).toBeGreaterThanOrEqual(0.95);
});

test.skipIf(!present)("Istio's Bookinfo routing samples are taken", () => {
  const files = readdirSync(join(corpus, 'istio/bookinfo')).map((name) => `bookinfo/${name}`);
  const served = files.map((file) => ({ file, errors: errorsIn(file) })).filter(({ errors }) => errors !== undefined);
  expect(served.length).toBeGreaterThan(15);
  expect(served.filter(({ errors }) => errors?.length !== 0)).toEqual([]);
});

import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { analyzeObjects } from './analyze.ts';
import { validateObject } from './validate.ts';
import { parseYaml } from './yaml-text.ts';

const WORLD = `
apiVersion: v1
kind: Service
metadata: { name: db, namespace: shop }
spec: { selector: { app: db }, ports: [{ name: http, port: 80 }, { name: tcp, port: 5432, targetPort: 15432 }, { name: any, port: 9999 }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80 }] }
---
${['db', 'web'].map((app) => `apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: ${app}-0, namespace: shop }\nspec: { address: 127.0.0.1, labels: { app: ${app} } }`).join('\n---\n')}
`;
const policy = (spec: string, namespace = 'shop', name = 'p'): string =>
  `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: ${spec}\n`;

function told(...policies: string[]): string[] {
  const objects = parseYaml(WORLD + policies.join('')).documents.map((document) => {
    const { object, problems } = validateObject(document.value, document);
    expect(problems).toEqual([]);
    return object as MeshObject;
  });
  return analyzeObjects(objects).map(({ severity, code, path, message }) => `${severity} ${code} ${path}: ${message}`);
}
const GET = '{ to: [{ operation: { methods: [GET] } }] }';
const never = (at: string): unknown => expect.stringMatching(new RegExp(`^warning WEFT_NEVER_MATCHES ${at}: .*connections to db 5432,`));
const DB = 'selector: { matchLabels: { app: db } }';

test('a rule about requests never lets connections of a TCP port in', () => {
  expect(told(policy(`{ ${DB}, rules: [${GET}] }`))).toEqual([never('spec.rules.0..to.0..operation.methods')]);
  expect(told(policy(`{ rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }] }`))).toEqual([never('spec.rules.0..from.0..source.requestPrincipals')]);
  expect(told(policy(`{ ${DB}, rules: [{ when: [{ key: "request.headers[x]", values: [y] }] }] }`))).toEqual([never('spec.rules.0..when.0..key')]);
  expect(told(policy(`{ ${DB}, rules: [{ to: [{ operation: { paths: [/a], ports: ["15432"] } }] }] }`, 'istio-system'))).toEqual([
    never('spec.rules.0..to.0..operation.paths'),
  ]);
});

test.each([
  ['a workload without TCP ports', `{ selector: { matchLabels: { app: web } }, rules: [${GET}] }`],
  ['a rule for another port', `{ ${DB}, rules: [{ to: [{ operation: { methods: [GET], ports: ["80"] } }] }] }`],
  ['a rule for all ports but this one', `{ ${DB}, rules: [{ to: [{ operation: { methods: [GET], notPorts: ["5432"] } }] }] }`],
  ['a condition on the port', `{ ${DB}, rules: [{ to: [{ operation: { methods: [GET] } }], when: [{ key: destination.port, values: ["80"] }] }] }`],
  ['a rule beside it that lets them in', `{ ${DB}, rules: [${GET}, { to: [{ operation: { ports: ["5432"] } }] }] }`],
  ['a rule about connections', `{ ${DB}, rules: [{ from: [{ source: { ipBlocks: [10.0.0.0/8] } }] }] }`],
  ['what is only told', `{ ${DB}, action: AUDIT, rules: [${GET}] }`],
])('nothing to tell of %s', (_, spec) => {
  expect(told(policy(spec))).toEqual([]);
});

test('a rule of another policy may let them in, as long as it is for the same workloads', () => {
  const open = (app: string): string =>
    policy(`{ selector: { matchLabels: { app: ${app} } }, rules: [{ to: [{ operation: { ports: ["5432"] } }] }] }`, 'shop', 'q');
  expect(told(policy(`{ rules: [${GET}] }`), open('db'))).toEqual([]);
  expect(told(policy(`{ rules: [${GET}] }`), open('web'))).toHaveLength(1);
});

test('a denial leaves out what it asks of requests', () => {
  const rule = (more: string): string => `{ to: [{ operation: { methods: [GET]${more} } }], from: [{ source: { ipBlocks: [10.0.0.0/8] } }] }`;
  const denial = (more: string): string[] => told(policy(`{ ${DB}, action: DENY, rules: [${rule(more)}] }`));
  expect(denial(', ports: ["5432"]')).toEqual([
    expect.stringMatching(/^warning WEFT_DENIES_TCP spec\.rules\[0\]\.to\[0\]\.operation\.methods: .*connections to db 5432 this is not asked/),
  ]);
  expect(denial(', ports: ["80"]')).toEqual([]);
  // Without ports it is told whatever ports there are, once.
  expect(denial('')).toEqual([expect.stringContaining('warning WEFT_DENIES_TCP spec.rules[0]: ')]);
});

import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { YamlEditError } from './errors.ts';
import { jsonSchemaOf, validateObject } from './validate.ts';
import { editYaml, MAX_DOCUMENT_BYTES, parseYaml, toYaml } from './yaml-text.ts';

const REVIEWS = `apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
    - route:
        - destination: { host: reviews, subset: v1 } # stable
          weight: 90
        - destination: { host: reviews, subset: v2 }
          weight: 10
`;

function check(text: string) {
  const { documents, problems } = parseYaml(text);
  return [...problems, ...documents.flatMap((d) => validateObject(d.value, d).problems)];
}

const SEEDS = [
  REVIEWS,
  `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: bookinfo }
spec:
  host: reviews
  trafficPolicy:
    connectionPool: { tcp: { maxConnections: 100 } }
    outlierDetection: { consecutive5xxErrors: 5, interval: 30s, baseEjectionTime: 30s }
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]
`,
  `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ratings, namespace: default }
spec:
  hosts: [ratings]
  http:
    - timeout: 10s
      retries: { attempts: 3, perTryTimeout: 2s, retryOn: "5xx,reset,connect-failure" }
      route: [{ destination: { host: ratings } }]
`,
];

test.each(SEEDS)('the seed examples are taken as they are', (text) => {
  expect(check(text)).toEqual([]);
  expect(check(text.replace(/networking.istio.io\/v1(beta1)?/, 'networking.istio.io/v1'))).toEqual([]);
});

const SEED_DIRECTORY = new URL('../../../../examples/seed/', import.meta.url);
test.each(readdirSync(SEED_DIRECTORY))('examples/seed/%s is taken, and read back the same', (file) => {
  const { documents, problems } = parseYaml(readFileSync(new URL(file, SEED_DIRECTORY), 'utf8'));
  expect(problems).toEqual([]);
  const checked = documents.map((d) => validateObject(d.value, d));
  expect(checked.flatMap((c) => c.problems)).toEqual([]);
  for (const { object } of checked) {
    if (object === undefined) throw new Error('no object');
    expect(object.metadata.namespace).toBe('default');
    expect(parseYaml(toYaml(object)).documents[0]?.value).toEqual(JSON.parse(JSON.stringify(object)));
  }
});

test('an unknown field is named at its own line', () => {
  const [problem] = check(`${REVIEWS}  htttp: []\n`);
  expect(problem).toMatchObject({ message: 'unknown field htttp; did you mean http?', path: 'spec.htttp', line: 13 });
});

test('a wrong value is marked at the value', () => {
  const [problem] = check(REVIEWS.replace('weight: 90', 'weight: ninety'));
  expect(problem).toMatchObject({ path: 'spec.http[0].route[0].weight', line: 10, column: 19 });
});

test('all problems are told at once', () => {
  expect(check(REVIEWS.replace('weight: 90', 'weight: -1').replace('name: reviews', 'name: Reviews')).map((p) => p.path)).toEqual([
    'metadata.name',
    'spec.http[0].route[0].weight',
  ]);
});

test.each([
  ['route and redirect together', 'redirect: { uri: /x }', /route and redirect/],
  ['a duration below a millisecond', 'timeout: 100us', /duration/],
  ['an unknown retry condition', 'retries: { retryOn: "5xx,oops" }', /oops/],
  ['switched-off retries with a policy', 'retries: { attempts: 0, retryOn: 5xx }', /attempts 0/],
])('%s is refused', (_, line, message) => {
  expect(check(REVIEWS.replace('    - route:', `    - ${line}\n      route:`))[0]?.message).toMatch(message);
});

test('aliases and oversized texts are refused before they cost anything', () => {
  expect(check('a: &a [x]\nb: *a\n')[0]?.code).toBe('WEFT_YAML_ALIAS');
  expect(check('x'.repeat(MAX_DOCUMENT_BYTES + 1))[0]?.code).toBe('WEFT_YAML_TOO_LARGE');
  expect(check('['.repeat(200))[0]?.code).toBe('WEFT_YAML_DEPTH');
});

test('an edit keeps comments and layout', () => {
  const text = editYaml(REVIEWS, [{ path: ['spec', 'http', 0, 'route', 0, 'weight'], value: 50 }]);
  expect(text).toBe(REVIEWS.replace('weight: 90', 'weight: 50'));
});

test.each([
  ['nested lists on one line', '- '.repeat(20_000), 'WEFT_YAML_DEPTH'],
  ['lists a little too deep', `${'- '.repeat(101)}x`, 'WEFT_YAML_DEPTH'],
  ['many bytes in few characters', '🙂'.repeat(MAX_DOCUMENT_BYTES / 4 + 1), 'WEFT_YAML_TOO_LARGE'],
  ['a key twice', 'a: 1\na: 2\n', 'WEFT_YAML_SYNTAX'],
])('%s: refused', (_, text, code) => {
  const { documents, problems } = parseYaml(text);
  expect(documents).toEqual([]);
  expect(problems.map((p) => p.code)).toContain(code);
});

test('a map of many keys is read in linear time', () => {
  const cpuFor = (keys: number): number => {
    const text = Array.from({ length: keys }, (_, i) => `k${i}: 1\n`).join('');
    const before = process.cpuUsage();
    expect(parseYaml(text).problems).toEqual([]);
    return process.cpuUsage(before).user;
  };
  const least = (keys: number): number => Math.min(...Array.from({ length: 3 }, () => cpuFor(keys)));
  cpuFor(16_000);
  // Sixteen times the keys: 16 when linear, 256 when quadratic. The least CPU time of three, so that neither a busy machine nor a collection matters.
  expect(least(16_000) / least(1_000)).toBeLessThan(48);
});

test('a message says what to write instead', () => {
  expect(check(REVIEWS.replace('    - route:', '    - timeout: 5\n      route:')).map((p) => p.message)).toEqual([
    'timeout 5: must be a duration with its unit, like 2s, 250ms or 1m30s',
  ]);
  expect(check(REVIEWS.replace('weight: 10', 'wieght: 10')).map((p) => p.message)).toEqual(['unknown field wieght; did you mean weight?']);
  expect(check('kind: VirtualService\n').map((p) => p.message)).toEqual([
    'apiVersion is required: use networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3',
    'metadata is required',
    'must have at least one of http, tls, tcp',
  ]);
});

test('brackets in comments and strings nest nothing', () => {
  expect(parseYaml(`# ${'['.repeat(200)}\na: "${'{'.repeat(200)}"\n`).problems).toEqual([]);
});

test('a List is its items, with their places', () => {
  const item = REVIEWS.replace('weight: 10', 'weight: -10').trimEnd().replaceAll(/^/gm, '  ').replace('  ', '- ');
  const { documents, problems } = parseYaml(`apiVersion: v1\nkind: List\nitems:\n${item}\n${item}\n`);
  expect(problems).toEqual([]);
  const [first, second] = documents.map((document) => validateObject(document.value, document).problems[0]);
  expect(first).toMatchObject({ path: 'spec.http[0].route[1].weight', message: 'weight -10: must be at least 0' });
  expect((second?.line ?? 0) - (first?.line ?? 0)).toBe(item.split('\n').length);
});

test('several documents keep their own places', () => {
  const { documents } = parseYaml(`${REVIEWS}---\n---\n${REVIEWS.replace('weight: 10', 'weight: -10')}`);
  expect(documents).toHaveLength(2);
  const [, second] = documents;
  expect(validateObject(second?.value, second).problems).toMatchObject([
    { path: 'spec.http[0].route[1].weight', line: 26, message: 'weight -10: must be at least 0' },
  ]);
});

test.each([
  [['spec', 'hosts', 0], 'a, b', 'hosts: [reviews]', 'hosts: ["a, b"]'],
  [['metadata', 'name'], 'true', 'name: reviews', 'name: "true"'],
  [['spec', 'http', 0, 'route', 1, 'destination', 'subset'], 'v3', 'subset: v2', 'subset: v3'],
])('a text at %s is quoted where it must be', (path, value, from, to) => {
  expect(editYaml(REVIEWS, [{ path, value }])).toBe(REVIEWS.replace(from, to));
});

test('larger edits keep comments and layout too', () => {
  const text = 'spec:\n  http:\n  # first\n  - route:\n    - destination: { host: a } # here\n    timeout: 1s\n';
  expect(editYaml(text, [{ path: ['spec', 'http', 0, 'timeout'], value: undefined }])).toBe(text.replace('    timeout: 1s\n', ''));
  expect(editYaml(text, [{ path: ['spec', 'http', 0, 'retries'], value: { attempts: 1 } }])).toBe(`${text}    retries:\n      attempts: 1\n`);
  expect(() => editYaml('a: [', [{ path: ['a'], value: 1 }])).toThrow(YamlEditError);
});

test.each(['Service', 'VirtualService', 'DestinationRule', 'Gateway', 'WorkloadEntry', 'PeerAuthentication'])('%s has a JSON schema', (kind) => {
  expect(jsonSchemaOf(kind)).toMatchObject({ type: 'object', properties: expect.anything() as unknown });
});

test('a kind of the same name in another group is refused as that, not field by field', () => {
  const { problems } = validateObject({ apiVersion: 'gateway.example.com/v1', kind: 'Gateway', metadata: { name: 'a' }, spec: { listeners: [] } });
  expect(problems).toMatchObject([
    { code: 'WEFT_UNKNOWN_VERSION', path: 'apiVersion', message: expect.stringContaining('use networking.istio.io/v1') as string },
  ]);
});

test('a kind nobody serves is answered with the one that was meant, with what takes its place, or with those there are', () => {
  const told = (kind: string) => validateObject({ apiVersion: 'v1', kind, metadata: { name: 'x' }, spec: {} }).problems.map((p) => p.message);
  expect(told('VirtualServcie')).toEqual(['kind VirtualServcie is not served here; did you mean VirtualService?']);
  expect(told('Deployment')).toEqual(['kind Deployment is not served here: programs and their identities come into the mesh by weft run, leave it out']);
  expect(told('PodMonitorings')).toEqual([expect.stringMatching(/^kind PodMonitorings is not served here; it is one of Service, /)]);
});

test('two groups have a Gateway, and a class of Gateways has no namespace', () => {
  const gateway = (apiVersion: string, spec: object) => validateObject({ apiVersion, kind: 'Gateway', metadata: { name: 'a', namespace: 'n' }, spec });
  const api = gateway('gateway.networking.k8s.io/v1', { gatewayClassName: 'istio', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] });
  expect(api.object).toMatchObject({ kind: 'KubernetesGateway', metadata: { namespace: 'n' } });
  expect(api.object === undefined ? '' : toYaml(api.object)).toContain('kind: Gateway\n');
  const istio = gateway('networking.istio.io/v1', { servers: [{ port: { number: 80, name: 'h', protocol: 'HTTP' }, hosts: ['*'] }] });
  expect(istio.object?.kind).toBe('Gateway');
  const { object } = validateObject({
    ...{ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'GatewayClass', metadata: { name: 'c', namespace: 'n' } },
    spec: { controllerName: 'istio.io/gateway-controller' },
  });
  expect(object?.metadata.namespace).toBe('default');
  expect(object === undefined ? '' : toYaml(object)).not.toContain('namespace');
});

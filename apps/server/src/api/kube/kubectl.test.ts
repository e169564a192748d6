import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { REVIEWS_YAML, type TestApi, startTestApi } from '../testing/services.ts';

// From the machine, not from a package.
const KUBECTL = process.env['KUBECTL'] ?? 'kubectl';
const missing = spawnSync(KUBECTL, ['version', '--client'], { stdio: 'ignore' }).error !== undefined;
if (missing) process.stderr.write('kubectl is not installed: its tests are skipped\n');

let api: TestApi;
let server: string;
const home = mkdtempSync(join(tmpdir(), 'weft-kubectl-'));
beforeEach(async () => {
  api = await startTestApi();
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  server = `http://127.0.0.1:${(api.app.server.address() as AddressInfo).port}`;
});
afterEach(() => api.close());

function kubectl(args: string[], input = ''): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(KUBECTL, ['--server', server, '--cache-dir', join(home, 'cache'), ...args], {
    env: { PATH: process.env['PATH'], HOME: home, KUBECONFIG: join(home, 'none') },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (d: Buffer) => (out += d.toString('utf8')));
  child.stderr.on('data', (d: Buffer) => (err += d.toString('utf8')));
  child.stdin.end(input);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err })));
}

test.skipIf(missing)(
  'kubectl applies, changes, gets, refuses and deletes',
  async () => {
    const file = join(home, 'reviews.yaml');
    writeFileSync(file, REVIEWS_YAML);
    const created = await kubectl(['apply', '-f', file]);
    // What is odd about it: nobody runs reviews here.
    expect(created.err.trim().split('\n')).toEqual(
      ['1', '2'].map((n) => expect.stringMatching(new RegExp(`^Warning: KIA0203 spec.subsets.*version=v${n}`)) as unknown),
    );
    expect(created.out).toContain('virtualservice.networking.istio.io/reviews created');
    expect((await kubectl(['apply', '-f', file])).out).toContain('service/reviews unchanged');

    const changed = await kubectl(
      ['apply', '-f', '-'],
      REVIEWS_YAML.replace('weight: 80', 'weight: 70').replace('weight: 20', 'weight: 30').replace('port: 9080', 'port: 9081'),
    );
    expect(changed.out).toContain('virtualservice.networking.istio.io/reviews configured');
    expect(changed.out).toContain('service/reviews configured');
    expect(api.services.store.get({ kind: 'Service', namespace: 'bookinfo', name: 'reviews' })?.spec).toMatchObject({ ports: [{ port: 9081 }] });
    expect(changed.out).toContain('destinationrule.networking.istio.io/reviews unchanged');

    expect((await kubectl(['get', 'vs', '-n', 'bookinfo'])).out).toMatch(/NAME +GATEWAYS +HOSTS +AGE\nreviews +\[\] +\["reviews"\]/);
    expect((await kubectl(['get', 'svc', '-A', '-o', 'name'])).out).toBe('service/reviews\n');
    expect((await kubectl(['get', 'ns'])).out).toContain('bookinfo');

    const refused = await kubectl(['apply', '-f', '-'], REVIEWS_YAML.replace('weight: 80', 'wait: 80'));
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('spec.http[0].route[0].wait');

    expect((await kubectl(['delete', 'vs', 'reviews', '-n', 'bookinfo'])).out).toContain('deleted');
    expect((await kubectl(['get', 'vs', 'reviews', '-n', 'bookinfo'])).err).toContain('NotFound');
  },
  60_000,
);

test.skipIf(missing)(
  'kubectl get -w sees a change',
  async () => {
    await kubectl(['apply', '-f', '-'], REVIEWS_YAML);
    const child = spawn(
      'kubectl',
      ['--server', server, '--cache-dir', join(home, 'cache'), 'get', 'vs', '-n', 'bookinfo', '-w', '-o', 'jsonpath={.spec.http[0].route[0].weight}{"\\n"}'],
      { env: { PATH: process.env['PATH'], HOME: home, KUBECONFIG: join(home, 'none') } },
    );
    const weights = createInterface(child.stdout)[Symbol.asyncIterator]();
    expect((await weights.next()).value).toBe('80');
    await api.app.inject({
      method: 'POST',
      url: '/api/v1/config/apply',
      headers: { host: 'localhost' },
      payload: { yaml: REVIEWS_YAML.replace('weight: 80', 'weight: 60').replace('weight: 20', 'weight: 40') },
    });
    expect((await weights.next()).value).toBe('60');
    child.kill();
  },
  60_000,
);

test.skipIf(missing)(
  'kubectl create makes secrets, configmaps, services and namespaces; namespaces keep their labels, and go with what is in them',
  async () => {
    for (const name of ['tls.key', 'tls.crt']) writeFileSync(join(home, name), name);
    const run = async (...args: string[]) => {
      const { out, err } = await kubectl(args);
      return out + err;
    };
    expect(await run('create', 'ns', 'foo')).toBe('namespace/foo created\n');
    expect(await run('label', 'ns', 'foo', 'istio-injection=enabled')).toMatch(/^namespace\/foo labeled\nWarning: WEFT_NO_EFFECT metadata.labels\["istio-inj/);
    expect(await run('create', '-n', 'foo', 'secret', 'generic', 'cacert', `--from-file=ca.crt=${join(home, 'tls.crt')}`)).toBe('secret/cacert created\n');
    expect(api.services.store.get({ kind: 'Secret', namespace: 'foo', name: 'cacert' })?.spec).toMatchObject({
      data: { 'ca.crt': Buffer.from('tls.crt').toString('base64') },
    });
    expect(await run('create', '-n', 'foo', 'configmap', 'cm', '--from-literal=a=b')).toBe('configmap/cm created\n');
    expect(api.services.store.get({ kind: 'ConfigMap', namespace: 'foo', name: 'cm' })?.spec).toMatchObject({ data: { a: 'b' } });
    expect(await run('create', '-n', 'foo', 'service', 'clusterip', 'web', '--tcp=80:8080')).toBe('service/web created\n');
    expect(api.services.store.get({ kind: 'Service', namespace: 'foo', name: 'web' })?.spec).toMatchObject({
      ports: [{ name: '80-8080', port: 80, targetPort: 8080 }],
      selector: { app: 'web' },
    });
    expect(await run('create', 'ns', 'foo')).toContain('AlreadyExists');
    expect(await run('get', 'ns', 'foo', '-o', 'jsonpath={.metadata.labels}')).toBe('{"istio-injection":"enabled","kubernetes.io/metadata.name":"foo"}');
    expect(await run('get', 'ns', '-l', 'istio-injection=enabled')).toMatch(/NAME +STATUS +AGE\nfoo +Active +\ds/);
    // Only something in it: it is there all the same, and is made an object by whoever writes it.
    expect(await run('create', '-n', 'bar', 'configmap', 'cm', '--from-literal=a=b')).toBe('configmap/cm created\n');
    expect(await run('get', 'ns', '-o', 'name')).toBe('namespace/bar\nnamespace/foo\n');
    expect(await run('annotate', 'ns', 'bar', 'note=x')).toBe('namespace/bar annotated\n');
    expect(await run('label', 'ns', 'bar', 'team=shop')).toBe('namespace/bar labeled\n');
    expect(await run('get', 'ns', 'bar', '-o', 'jsonpath={.metadata.annotations.note}{.metadata.labels.team}')).toBe('xshop');
    expect(await run('label', 'ns', 'bar', 'team-')).toBe('namespace/bar unlabeled\n');
    const applied = 'apiVersion: v1\nkind: Namespace\nmetadata: { name: bar, labels: { team: edge } }\n';
    expect((await kubectl(['apply', '-f', '-'], applied)).out).toBe('namespace/bar configured\n');
    expect((await kubectl(['apply', '-f', '-'], applied)).out).toBe('namespace/bar unchanged\n');
    expect(api.services.store.get({ kind: 'Namespace', namespace: 'default', name: 'bar' })?.metadata.labels).toEqual({ team: 'edge' });
    expect(await run('create', 'sa', 'me')).toContain('the server could not find the requested resource');
    expect(await run('delete', 'ns', 'foo', '--dry-run=server')).toContain('would be deleted with it');
    const gone = await run('delete', 'ns', 'foo');
    expect(gone).toContain('namespace "foo" deleted');
    expect(gone).toMatch(/Warning: deleted with it: ConfigMap\/cm, Secret\/cacert, Service\/web; undoing revision \d+ .* brings all back/);
    expect(await run('get', 'ns', 'foo')).toContain('NotFound');
    expect(api.services.store.list({ namespace: 'foo' }).items).toEqual([]);
  },
  60_000,
);

test.skipIf(missing)(
  'kubectl makes an Ingress, as protobuf, and changes it by a patch of its own kind',
  async () => {
    const spec = () => api.services.store.get({ kind: 'Ingress', namespace: 'foo', name: 'web' })?.spec;
    const rules = ['shop.test/api*=web:http,tls=cert', 'shop.test/=web:80'].map((rule) => `--rule=${rule}`);
    const created = await kubectl(['create', '-n', 'foo', 'ingress', 'web', '--class=istio', '--default-backend=web:80', ...rules]);
    expect(created.err + created.out).toContain('ingress.networking.k8s.io/web created');
    const backend = (port: object): object => ({ service: { name: 'web', port } });
    const paths = [
      { path: '/api', pathType: 'Prefix', backend: backend({ name: 'http' }) },
      { path: '/', pathType: 'Exact', backend: backend({ number: 80 }) },
    ];
    const made = {
      ...{ ingressClassName: 'istio', defaultBackend: backend({ number: 80 }) },
      ...{ tls: [{ hosts: ['shop.test'], secretName: 'cert' }], rules: [{ host: 'shop.test', http: { paths } }] },
    };
    expect(spec()).toEqual(made);
    expect((await kubectl(['get', 'ing', '-n', 'foo'])).out).toMatch(/NAME +CLASS +HOSTS +ADDRESS +PORTS +AGE\nweb +istio +shop.test +80, 443/);
    // Of a class nobody looks after it has no status; of ours it has, and an address as soon as a gateway is connected.
    const status = async (): Promise<string> => (await kubectl(['get', 'ing', 'web', '-n', 'foo', '-o', 'jsonpath={.status}'])).out;
    expect(await status()).toBe('');
    await kubectl(
      ['apply', '-f', '-'],
      JSON.stringify({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'IngressClass',
        metadata: { name: 'istio' },
        spec: { controller: 'istio.io/ingress-controller' },
      }),
    );
    expect(await status()).toBe('{"loadBalancer":{}}');
    const object = { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name: 'web', namespace: 'foo' } };
    for (const changed of [
      { ...made, rules: [...made.rules, { host: 'two.test' }] },
      { ...made, rules: [{ host: 'two.test', http: { paths: paths.slice(1) } }] },
    ]) {
      await kubectl(['apply', '-f', '-'], JSON.stringify({ ...object, spec: changed }));
      expect(spec()).toEqual(changed);
    }
  },
  60_000,
);

test.skipIf(missing)(
  'kubectl prints what is odd about an object, and says of kinds which are not here that they are not',
  async () => {
    const odd = 'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: a, namespace: foo }\nspec: { host: nowhere }\n';
    const applied = await kubectl(
      ['apply', '-f', '-'],
      `${odd}---\napiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: { name: a, namespace: foo }\n`,
    );
    expect(applied.out).toContain('destinationrule.networking.istio.io/a created');
    expect(applied.err).toContain('Warning: KIA0202 spec.host: No Service has the host nowhere');
    expect(applied.err).toContain('no matches for kind "WasmPlugin" in version "extensions.istio.io/v1alpha1"');
  },
  60_000,
);

test.skipIf(missing)(
  'kubectl explain tells the fields',
  async () => {
    const { out, err } = await kubectl(['explain', 'vs.spec.http.retries']);
    expect(err).toBe('');
    expect(out).toMatch(/KIND: +VirtualService\n/);
    expect(out).toMatch(/ {2}perTryTimeout\t<string>/);
  },
  60_000,
);

test.skipIf(missing)(
  'kubectl reads the status of Gateways, waits for it, and knows kinds of the whole cluster',
  async () => {
    const cls =
      'apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: { name: mine }\nspec: { controllerName: istio.io/gateway-controller }\n';
    const gateway =
      'apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: web, namespace: foo }\nspec: { gatewayClassName: mine, listeners: [{ name: http, port: 80, protocol: HTTP }] }\n';
    expect((await kubectl(['apply', '-f', '-'], `${cls}---\n${gateway}`)).out).toMatch(/gatewayclass.*mine created\n.*gateway.*web created/);
    expect((await kubectl(['get', 'gatewayclass'])).out).toMatch(/NAME +CONTROLLER +ACCEPTED +AGE\nmine +istio.io\/gateway-controller +True/);
    expect((await kubectl(['get', 'gtw', '-n', 'foo'])).out).toMatch(/NAME +CLASS +ADDRESS +PROGRAMMED +AGE\nweb +mine +False/);
    // The Gateways of Istio are others.
    expect((await kubectl(['get', 'gateways.networking.istio.io', '-A'])).err).toContain('No resources found');
    const status = 'jsonpath={.status.conditions[?(@.type=="Programmed")].status}{"\\n"}';
    const child = spawn(KUBECTL, ['--server', server, '--cache-dir', join(home, 'cache'), 'get', 'gtw', 'web', '-n', 'foo', '-w', '-o', status], {
      env: { PATH: process.env['PATH'], HOME: home, KUBECONFIG: join(home, 'none') },
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    // What it read, and once more when its watch begins: in between nothing would be told.
    expect([(await lines.next()).value, (await lines.next()).value]).toEqual(['False', 'False']);
    api.proxies.push({
      ...{ id: 'router~1', workload: 'web-istio', namespace: 'foo', role: 'router', dataPlane: 'embedded', version: '', address: '', adminPort: 0 },
      ...{ state: 'synced', lastSeenAt: 0, identity: '', types: [], labels: { 'gateway.networking.k8s.io/gateway-name': 'web' } },
    });
    api.changed({ proxies: ['router~1'], revisions: [] });
    expect((await lines.next()).value).toBe('True');
    child.kill();
    expect((await kubectl(['wait', '--for=condition=programmed', 'gtw', 'web', '-n', 'foo', '--timeout=10s'])).out).toContain('condition met');
    expect((await kubectl(['delete', 'gatewayclass', 'mine'])).out).toContain('deleted');
  },
  60_000,
);

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, expect, test, vi } from 'vitest';
import { REVIEWS_YAML, startTestApi } from '../api/testing/services.ts';
import { joined } from './config-files.ts';
import { registerDiff } from './diff-command.ts';
import { refsOf, registerObjects } from './objects-commands.ts';

const refs = (text: string) => refsOf(joined([{ name: 'a.yaml', text }]));

test('namespaces go last: each takes along what is in it', () => {
  expect(refs('kind: Namespace\nmetadata: { name: b }\n---\nkind: Service\nmetadata: { name: c, namespace: b }\n').map((r) => r.kind)).toEqual([
    'Service',
    'Namespace',
  ]);
});

test('what a file to be deleted does not say is told, and nothing goes', () => {
  expect(refs('kind: gateway\nmetadata: { name: a, namespace: b }\n---\nkind: Service\nmetadata: { name: c }\n')).toEqual([
    { kind: 'Gateway', namespace: 'b', name: 'a' },
    { kind: 'Service', namespace: 'default', name: 'c' },
  ]);
  const good = 'kind: Service\nmetadata: { name: c }\n---\n';
  for (const [text, why] of [
    ['# only\n', 'the files have no object'],
    [`${good}kind: [a\n`, 'line 5: Flow sequence'],
    [`${good}kind: Service\nmetadata:\n`, 'line 4: an object has no kind or no metadata.name'],
    [`${good}kind: Nothing\nmetadata: { name: c }\n`, 'Nothing is no kind of Weft'],
  ] as const)
    expect(() => refs(text)).toThrow(why);
});

afterEach(() => {
  process.exitCode = undefined;
  vi.restoreAllMocks();
});

/** Runs commands against a server of their own, and answers what they print. */
const weft = async () => {
  const api = await startTestApi();
  const server = await api.app.listen({ host: '127.0.0.1', port: 0 });
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const run = async (...args: string[]): Promise<string[]> => {
    printed = '';
    const program = new Command('weft').option('--server <url>', '', server).exitOverride();
    registerObjects(program);
    registerDiff(program);
    await program.parseAsync(args, { from: 'user' });
    return printed.trimEnd().split('\n');
  };
  const file = (text: string): string => {
    const path = join(mkdtempSync(join(tmpdir(), 'weft-cli-')), 'a.yaml');
    writeFileSync(path, text);
    return path;
  };
  return { api, run, file };
};

test('a Gateway of the Gateway API has the name its manifest gives it', async () => {
  const { api, run, file } = await weft();
  const gateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: web, namespace: shop }
spec: { gatewayClassName: istio, listeners: [{ name: http, port: 80, protocol: HTTP }] }
`;
  expect(await run('apply', '-f', file(gateway))).toEqual(['Gateway/web created']);
  expect(await run('describe', 'gtw', 'web', '-n', 'shop')).toContain('kind: Gateway');
  await expect(run('apply', '-f', file(`${gateway}---\n${gateway}`))).rejects.toThrow('Gateway/shop/web is in the text twice');
  for (const verb of ['get', 'describe']) await expect(run(verb, 'gtw', 'other', '-n', 'shop')).rejects.toThrow(/^Gateway shop\/other does not exist/);
  expect(await run('delete', '-f', file(gateway))).toEqual(['Gateway/web deleted']);
  await api.close();
});

test('apply says what became of each object; a dry run says it of what it does not write', async () => {
  const { api, run, file } = await weft();
  const before = file(REVIEWS_YAML);
  const after = file(REVIEWS_YAML.replace('weight: 80', 'weight: 79').replace('weight: 20', 'weight: 21'));
  const stored = () => api.services.store.list().revision;
  expect(await run('apply', '--dry-run', '-f', before)).toContain('VirtualService/reviews created (server dry run)');
  expect(stored()).toBe('0');
  expect(await run('apply', '-f', before)).toContain('VirtualService/reviews created');
  const dry = await run('apply', '--dry-run', '-f', after);
  expect(dry).toEqual(expect.arrayContaining(['Service/reviews unchanged (server dry run)', 'VirtualService/reviews configured (server dry run)']));
  expect(stored()).toBe('1');
  await expect(run('apply', '--dry-run', '-f', file(REVIEWS_YAML.replace('weight: 20', 'weight: many')))).rejects.toThrow('line 28');
  await api.close();
});

test('get has the columns kubectl has', async () => {
  const { api, run, file } = await weft();
  await run('apply', '-f', file(REVIEWS_YAML));
  expect((await run('get', 'vs', '-A')).map((line) => line.trim().split(/ +/).slice(0, 4))).toEqual([
    ['NAMESPACE', 'NAME', 'GATEWAYS', 'HOSTS'],
    ['bookinfo', 'reviews', '[]', '["reviews"]'],
  ]);
  await api.close();
});

test('diff shows what an apply would change, and its exit code whether there is anything', async () => {
  const { api, run, file } = await weft();
  const secret = 'kind: Secret\napiVersion: v1\nmetadata: { name: token, namespace: bookinfo }\nstringData: { value: hunter2 }\n';
  await run('apply', '-f', file(`${REVIEWS_YAML}---\n${secret}`));
  expect([await run('diff', '-f', file(REVIEWS_YAML)), process.exitCode]).toEqual([[''], undefined]);
  expect([await run('diff', '-f', file(`# why\n${REVIEWS_YAML}`)), process.exitCode]).toEqual([[''], undefined]);
  const moved = REVIEWS_YAML.replace('weight: 80', 'weight: 79').replace('weight: 20', 'weight: 21');
  const shown = await run('diff', '-f', file(`${moved}---\n${secret.replace('hunter2', 'hunter3')}---\n${secret.replace('token', 'new')}`));
  expect(process.exitCode).toBe(1);
  expect(shown).toEqual(
    expect.arrayContaining([
      '--- live/VirtualService/bookinfo/reviews',
      '+++ applied/VirtualService/bookinfo/reviews',
      '-          weight: 80',
      '+          weight: 79',
    ]),
  );
  expect(shown).toEqual(
    expect.arrayContaining(['-    value: "[redacted] (before)"', '+    value: "[redacted] (after)"', '--- live/Secret/bookinfo/new', '+kind: Secret']),
  );
  expect(shown.join()).not.toMatch(/hunter|aHVudGVy/);
  expect(shown.filter((line) => line.startsWith('---'))).toHaveLength(3);
  expect(api.services.store.list().revision).toBe('1');
  await expect(run('diff', '-f', file(REVIEWS_YAML.replace('weight: 20', 'weight: many')))).rejects.toMatchObject({ code: 'WEFT_DIFF_FAILED' });
  await api.close();
});

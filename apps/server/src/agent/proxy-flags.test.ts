import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { PROXY_FLAGS, proxyEnv } from './proxy-flags.ts';

test('node starts whatever roots its own options ask for', () => {
  const env = proxyEnv({ ...process.env, NODE_OPTIONS: '--use-bundled-ca --no-warnings' });
  expect(execFileSync(process.execPath, [...PROXY_FLAGS, '-p', 'process.env.NODE_OPTIONS'], { env, encoding: 'utf8' }).trim()).toBe('--no-warnings');
});

test('files of roots are for the proxy to read, not for node', () => {
  expect(proxyEnv({ PATH: '/bin', SSL_CERT_FILE: '/a', NODE_EXTRA_CA_CERTS: '/b' })).toEqual({
    PATH: '/bin',
    WEFT_SSL_CERT_FILE: '/a',
    WEFT_NODE_EXTRA_CA_CERTS: '/b',
  });
});

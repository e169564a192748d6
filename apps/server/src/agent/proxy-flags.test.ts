import { expect, test } from 'vitest';
import { proxyEnv } from './proxy-flags.ts';

test('files of roots are for the proxy to read, not for node', () => {
  expect(proxyEnv({ PATH: '/bin', SSL_CERT_FILE: '/a', NODE_EXTRA_CA_CERTS: '/b' })).toEqual({
    PATH: '/bin',
    WEFT_SSL_CERT_FILE: '/a',
    WEFT_NODE_EXTRA_CA_CERTS: '/b',
  });
});

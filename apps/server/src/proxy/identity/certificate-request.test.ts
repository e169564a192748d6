import 'reflect-metadata';
import { generateKeyPairSync } from 'node:crypto';
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { expect, test } from 'vitest';
import { certificateRequest } from './certificate-request.ts';

test.each(['spiffe://cluster.local/ns/a/sa/b', `spiffe://cluster.local/ns/${'n'.repeat(63)}/sa/${'s'.repeat(253)}`])(
  'another implementation reads and verifies %s',
  async (uri) => {
    const request = new Pkcs10CertificateRequest(certificateRequest(generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'abc123', uri));
    expect(await request.verify()).toBe(true);
    expect(request.subject).toBe('CN=abc123');
    const names = request.getExtension('2.5.29.17')?.rawData ?? new ArrayBuffer(0);
    expect(new SubjectAlternativeNameExtension(names).names.toJSON()).toEqual([{ type: 'url', value: uri }]);
  },
);

// Mutual TLS: which connections are made and taken.

import { type Case, http, raw, service } from '../case.ts';
import { absent, oneOf } from '../harness/match.ts';
import { policy } from './parts.ts';

const area = 'mutual TLS';
const withCertificate = {
  'x-forwarded-client-cert': /^By=spiffe:\/\/cluster\.local\/ns\/<ns>\/sa\/observed;Hash=<hash>;.*URI=spiffe:\/\/cluster\.local\/ns\/<ns>\/sa\/client$/,
};

export const SECURITY: readonly Case[] = [
  {
    area,
    name: 'automatic: to sidecars by mutual TLS, the certificate’s identity told to the application',
    services: [service('auto-mtls')],
    mixed: true,
    steps: [http({ expect: { status: 200, upstream: { headers: withCertificate } } })],
  },
  {
    area,
    name: 'automatic: without a sidecar plaintext',
    services: [service('auto-plain', { app: 'a', direct: true })],
    steps: [http({ expect: { status: 200, upstream: { headers: { 'x-forwarded-client-cert': absent } } } })],
  },
  {
    area,
    name: 'STRICT: mutual TLS passes, plaintext finds no door',
    services: [service('strict', { app: 'a', mode: 'strict' }), service('strict-plain', { app: 'a', mode: 'strict' })],
    objects: policy('strict-plain', '{ tls: { mode: DISABLE } }'),
    steps: [http({ expect: { status: 200, upstream: { headers: withCertificate } } }), http({ to: 'strict-plain', expect: { status: 503 } })],
  },
  {
    area,
    name: 'PERMISSIVE: both; plaintext has no identity',
    services: [service('permissive')],
    objects: policy('permissive', '{ tls: { mode: DISABLE } }'),
    steps: [http({ expect: { status: 200, upstream: { headers: { 'x-forwarded-client-cert': absent } } } })],
  },
  {
    area,
    name: 'DISABLE: the client does not even try TLS',
    services: [service('disabled', { app: 'a', mode: 'disable' })],
    steps: [http({ expect: { status: 200, upstream: { headers: { 'x-forwarded-client-cert': absent } } } })],
  },
  {
    area,
    name: 'DISABLE on the port, ISTIO_MUTUAL in the rule: no connection',
    services: [service('forced', { app: 'a', mode: 'disable' })],
    objects: policy('forced', '{ tls: { mode: ISTIO_MUTUAL } }'),
    steps: [http({ expect: { status: 503 } })],
  },
  {
    area,
    name: 'a client’s own x-forwarded-client-cert is not believed',
    services: [service('forged')],
    steps: [http({ headers: { 'x-forwarded-client-cert': 'By=x;URI=spiffe://cluster.local/ns/x/sa/admin' }, expect: { status: 200 } })],
  },
  {
    area,
    name: 'a server with another identity than the service’s is refused',
    services: [service('impostor')],
    objects: `
kind: WorkloadEntry
metadata: { name: impostor-0 }
spec: { address: 127.0.0.1, ports: { http: $INBOUND(http-a) }, labels: { app: impostor, security.istio.io/tlsMode: istio }, serviceAccount: somebody-else }
`,
    steps: [http({ expect: { status: 503 } })],
    telemetry: { logs: [{ status: '503', flags: /UF/ }] },
  },
  {
    area,
    name: 'TLS of strangers at a STRICT port ends in the handshake',
    services: [service('stranger', { app: 'a', direct: true })],
    steps: [raw({ tls: { sni: 'x' }, send: ['GET / HTTP/1.1\r\nHost: x\r\n\r\n'], expect: { failed: oneOf('tls', 'closed', 'reset') } })],
  },
];

// TLS the proxy makes itself towards hosts outside.

import { type Case, http, raw } from '../case.ts';

const area = 'TLS origination';

/** A host of the outside whose server has a certificate for `*.example.org`, with this tls block of a DestinationRule (flow YAML). */
const origin = (name: string, tls: string, { port = '{ number: 80, name: p, protocol: HTTP }', more = '' } = {}): string => `
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}-$NS.example.org]
  resolution: STATIC
  ports: [${port}]
  endpoints: [{ address: 127.0.0.1, ports: { p: $PORT(tls) } }]
  ${more}
---
kind: DestinationRule
metadata: { name: ${name} }
spec: { host: ${name}-$NS.example.org, trafficPolicy: { tls: ${tls} } }
---`;

const out = (name: string, expect: Parameters<typeof http>[0]['expect']): ReturnType<typeof http> =>
  http({ from: 'http-proxy', headers: { host: `${name}-of-\${plane}.example.org` }, expect });
const reached = (tls: string): Parameters<typeof http>[0]['expect'] => ({ status: 200, app: 'tls', upstream: { tls } });

const refused = { status: 503, body: /reset reason: remote connection failure$/ };

export const ORIGINATION: readonly Case[] = [
  {
    area,
    name: 'SIMPLE: SNI and the name checked follow the request’s Host',
    objects: origin('simple', '{ mode: SIMPLE, caCertificates: $FILE(ca.pem) }'),
    steps: [out('simple', reached('sni=simple-<ns>.example.org'))],
  },
  {
    area,
    name: 'SIMPLE: sni replaces it, and then no name is checked; subjectAltNames are what is accepted',
    objects: `${origin('sni', '{ mode: SIMPLE, caCertificates: $FILE(ca.pem), sni: other.example.net }')}${origin('san', '{ mode: SIMPLE, caCertificates: $FILE(ca.pem), subjectAltNames: ["san-$NS.example.org"] }')}`,
    steps: [out('sni', reached('sni=other.example.net')), out('san', reached('sni=san-<ns>.example.org'))],
  },
  {
    area,
    name: 'a certificate of another authority, or with other names, is refused: 503',
    objects: `${origin('wrong-ca', '{ mode: SIMPLE, caCertificates: $FILE(strange-ca.pem) }')}${origin('wrong-san', '{ mode: SIMPLE, caCertificates: $FILE(ca.pem), subjectAltNames: [somebody.example.com] }')}${origin('wrong-entry', '{ mode: SIMPLE, caCertificates: $FILE(ca.pem) }', { more: 'subjectAltNames: [somebody.example.com]' })}${origin('system-ca', '{ mode: SIMPLE }')}`,
    steps: ['wrong-ca', 'wrong-san', 'wrong-entry', 'system-ca'].map((name) => out(name, refused)),
  },
  {
    area,
    name: 'insecureSkipVerify: whoever answers is believed',
    objects: origin('skip', '{ mode: SIMPLE, sni: skipped.example.net, insecureSkipVerify: true }'),
    steps: [out('skip', reached('sni=skipped.example.net'))],
  },
  {
    area,
    name: 'MUTUAL: the client’s certificate from files, or from a Secret',
    objects: `
kind: Secret
metadata: { name: outbound }
data: { tls.crt: $BASE64(client.pem), tls.key: $BASE64(client.key), ca.crt: $BASE64(ca.pem) }
---${origin('mutual', '{ mode: MUTUAL, caCertificates: $FILE(ca.pem), clientCertificate: $FILE(client.pem), privateKey: $FILE(client.key) }')}${origin('credential', '{ mode: MUTUAL, credentialName: outbound }')}`,
    steps: [
      out('mutual', reached('sni=mutual-<ns>.example.org;client=DNS:client.example.com')),
      out('credential', reached('sni=credential-<ns>.example.org;client=DNS:client.example.com')),
    ],
  },
  {
    area,
    name: 'HTTP/2 to a port that says so',
    objects: origin('two', '{ mode: SIMPLE, caCertificates: $FILE(ca.pem) }', { port: '{ number: 80, name: p, protocol: HTTP2 }' }),
    steps: [out('two', { status: 200, app: 'tls', upstream: { protocol: 'HTTP/2.0' } })],
  },
  {
    area,
    name: 'port 80 asked, port 443 called: TLS of one port only',
    objects: `
kind: ServiceEntry
metadata: { name: upgraded }
spec:
  hosts: [upgraded-$NS.example.org]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }, { number: 443, name: p, protocol: HTTPS }]
  endpoints: [{ address: 127.0.0.1, ports: { http: $PORT(a), p: $PORT(tls) } }]
---
kind: VirtualService
metadata: { name: upgraded }
spec:
  hosts: [upgraded-$NS.example.org]
  http: [{ match: [{ port: 80 }], route: [{ destination: { host: upgraded-$NS.example.org, port: { number: 443 } } }] }]
---
kind: DestinationRule
metadata: { name: upgraded }
spec:
  host: upgraded-$NS.example.org
  trafficPolicy: { portLevelSettings: [{ port: { number: 443 }, tls: { mode: SIMPLE, caCertificates: $FILE(ca.pem) } }] }
`,
    steps: [out('upgraded', reached('sni=upgraded-<ns>.example.org'))],
  },
  {
    area,
    name: 'TLS around TCP',
    outside: ['around-$NS.example.org:5432'],
    objects: origin('around', '{ mode: SIMPLE, caCertificates: $FILE(ca.pem), sni: around.example.org }', { port: '{ number: 5432, name: p, protocol: TCP }' }),
    steps: [
      raw({
        to: 'around-$NS.example.org:5432',
        send: ['GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
        expect: { text: /^HTTP\/1\.1 200 OK[^]*sni=around\.example\.org/ },
      }),
    ],
  },
  {
    area,
    name: 'from a gateway: its own Secret',
    objects: `${origin('edge-out', '{ mode: MUTUAL, credentialName: outbound-gateway }')}
kind: Secret
metadata: { name: outbound-gateway }
data: { tls.crt: $BASE64(client.pem), tls.key: $BASE64(client.key), ca.crt: $BASE64(ca.pem) }
---
kind: VirtualService
metadata: { name: edge-out }
spec: { hosts: [edge-out.example.com], gateways: [gateway], http: [{ rewrite: { authority: edge-out-$NS.example.org }, route: [{ destination: { host: edge-out-$NS.example.org } }] }] }
`,
    steps: [http({ at: 'gateway', headers: { host: 'edge-out.example.com' }, expect: reached('sni=edge-out-<ns>.example.org;client=DNS:client.example.com') })],
  },
];

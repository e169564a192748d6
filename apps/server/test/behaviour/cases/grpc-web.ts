// gRPC-Web: browsers ask gRPC services through a port that says so, of a service or of a gateway.

import { type Case, type HttpStep, grpc, http } from '../case.ts';
import { frame } from '../harness/app-grpc.ts';
import { absent } from '../harness/match.ts';

const TEXT = 'application/grpc-web-text';
const base64 = (bytes: Buffer): string => bytes.toString('base64');
const trailers = (text: string): Buffer => {
  const bytes = frame(text);
  bytes[0] = 0x80;
  return bytes;
};

/** In text form, as far as this suite's clients can look at bodies. */
const say = (status: number, more: Partial<HttpStep> = {}): HttpStep =>
  http({
    ...{ method: 'POST', path: '/suite.Echo/Say', body: base64(frame('hello')), do: { grpcStatus: status, grpcMessage: 'so it is' } },
    ...more,
    headers: { 'content-type': TEXT, accept: TEXT, ...more.headers },
    expect: {
      status: 200,
      headers: { 'content-type': `${TEXT}+proto`, 'grpc-status': absent },
      body: `${base64(frame(JSON.stringify({ app: 'a', message: 'hello', metadata: { te: 'trailers' } })))}${base64(trailers(`grpc-status:${status}\r\ngrpc-message:so it is\r\n`))}`,
    },
  });

const requests = (source_workload: string) => ({ metric: 'istio_requests_total', reporter: 'source', source_workload, request_protocol: 'grpc' });

export const GRPC_WEB: readonly Case[] = [
  {
    area: 'protocols',
    name: 'gRPC-Web: a port named grpc-web, a server of a gateway with GRPC-WEB; gRPC itself passes there too',
    differs: {
      'source client web-grpc-0': 'Envoy’s filter has taken the trailers by the time it counts: it tells status 2, and of messages none',
      'source gateway web-grpc-0': 'the same',
      'spans client': 'nor does Envoy’s span tell the status',
      'spans gateway': 'the same',
    },
    services: [{ name: 'web-grpc', ports: [{ name: 'grpc-web', number: 80 }], endpoints: [{ app: 'a' }] }],
    objects: `
kind: Gateway
metadata: { name: web-grpc }
spec: { selector: { istio: ingress-$PLANE }, servers: [{ port: { number: $AT(web-grpc), name: web, protocol: GRPC-WEB }, hosts: ["*"] }] }
---
kind: VirtualService
metadata: { name: web-grpc }
spec: { hosts: [web-grpc.example.com], gateways: [web-grpc], http: [{ route: [{ destination: { host: web-grpc } }] }] }
`,
    steps: [
      say(0),
      say(3),
      http({
        ...{ method: 'POST', path: '/suite.Echo/Say', headers: { 'content-type': 'application/grpc-web+proto' }, body: frame('x').toString() },
        do: { grpcStatus: 5, trailersOnly: true },
        expect: { status: 200, headers: { 'content-type': 'application/grpc-web+proto', 'grpc-status': '5' } },
      }),
      grpc({ expect: { grpc: { status: 0 }, app: 'a' } }),
      say(0, { at: 'web-grpc', headers: { host: 'web-grpc.example.com' } }),
    ],
    telemetry: {
      metrics: [
        ...['client', 'gateway'].map((who) => requests(who)),
        // In the head, and of gRPC itself.
        ...['5', '0'].map((status) => ({ ...requests('client'), grpc_response_status: status })),
      ],
    },
  },
];

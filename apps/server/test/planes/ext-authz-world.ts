// A proxy whose requests and connections another service decides about, the services themselves, and an application that tells what it
// was asked.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcp, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, type JsonObject, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import { CheckRequestSchema, CheckResponseSchema } from '@weft/mesh-core/gen/envoy/service/auth/v3/external_auth_pb';
import type { MeshObject } from '@weft/mesh-core/model';
import { frame } from '../behaviour/harness/app-grpc.ts';
import { type PLANES, type PlaneOptions, object, runPlane } from './planes.ts';

export type Reply = { status?: number; headers?: readonly (readonly [name: string, value: string])[]; body?: string } | 'never';
export type GrpcReply = MessageInitShape<typeof CheckResponseSchema> | 'never';

/** What a service over HTTP or the application got: a line, and headers by name, those of one name joined by `|`. */
export interface Asked {
  line: string;
  headers: Record<string, string>;
  body: string;
}

export interface World {
  ask(question: { path?: string; method?: string; headers?: readonly string[]; body?: string }): Promise<{ status: number; headers: string[]; body: string }>;
  /** Over TCP: what comes back of an echo. */
  say(text: string): Promise<string>;
  /** What the services say from now on. */
  reply: { http: Reply; grpc: GrpcReply };
  /** What they, and the applications, have heard since the last such question. */
  heard(): { http: Asked[]; grpc: JsonObject[]; app: Asked[]; tcp: string };
  /** Lines of the log. */
  log(): string[];
  stop(): Promise<void>;
}

const EXTENSIONS = 'type.googleapis.com/envoy.extensions.filters';
/** More than a busy machine takes. */
const PATIENTLY = '20s';
const SOON = '0.3s';
const httpService = (timeout: string) => ({ server_uri: { uri: 'http://authz.test', cluster: 'outbound|80||authz.test', timeout } });
const grpcService = (timeout: string) => ({ envoy_grpc: { cluster_name: 'outbound|80||authz-grpc.test', authority: 'authz-grpc.test' }, timeout });
export const HTTP_SERVICE = httpService(PATIENTLY);
export const GRPC_SERVICE = grpcService(PATIENTLY);
/** For those that do not answer. */
export const IMPATIENT = { http_service: httpService(SOON), grpc_service: grpcService(SOON) };
/** Asks about what shadow rules before it have found. */
export const byShadow = (layer: 'http' | 'network'): object => ({
  filter: `envoy.filters.${layer}.rbac`,
  path: [{ key: 'istio_ext_authz_shadow_effective_policy_id' }],
  value: { string_match: { prefix: 'istio-ext-authz' } },
});

interface Filters {
  /** Before all others, in this order. */
  http?: readonly { kind: 'rbac' | 'ext_authz'; config: object }[];
  network?: readonly { kind: 'rbac' | 'ext_authz'; config: object }[];
  routes?: (table: JsonObject) => void;
}

export async function startWorld(plane: (typeof PLANES)[number], { http = [], network = [], routes }: Filters): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-ext-authz-'));
  const file = join(dir, 'log');
  let heard: ReturnType<World['heard']> = { http: [], grpc: [], app: [], tcp: '' };
  const reply: World['reply'] = { http: {}, grpc: {} };
  const app = createServer((request, response) => {
    let body = '';
    request.setEncoding('latin1').on('data', (part: string) => (body += part));
    request.on('end', () => {
      heard.app.push({ line: `${request.method} ${request.url}`, headers: told(request.rawHeaders), body });
      response.writeHead(200, { 'x-app': 'app', 'x-both': 'app', 'content-length': 2 }).end('ok');
    });
  });
  const service = createServer((request, response) => {
    let body = '';
    request.setEncoding('latin1').on('data', (part: string) => (body += part));
    request.on('end', () => {
      heard.http.push({ line: `${request.method} ${request.url}`, headers: told(request.rawHeaders), body });
      if (reply.http === 'never') return;
      response.writeHead(reply.http.status ?? 200, (reply.http.headers ?? []).flat());
      response.end(reply.http.body);
    });
  });
  const grpc = createHttp2().on('stream', (stream: ServerHttp2Stream) =>
    answerCheck(stream, (message) => {
      heard.grpc.push(message);
      return reply.grpc;
    }),
  );
  const echo = createTcp((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      heard.tcp += bytes.toString();
      socket.write(bytes);
    });
  });
  const servers: readonly Server[] = [app, service, grpc as Server, echo];
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))));
  const objects = [entry('app', 'HTTP', app), entry('authz', 'HTTP', service), entry('authz-grpc', 'GRPC', grpc as Server), entry('db', 'TCP', echo)];
  const upstreams = [
    { host: 'app.test', port: 80, listenPort: 1 },
    { host: 'db.test', port: 80, listenPort: 2 },
  ];
  const options: PlaneOptions = {
    node: { upstreams },
    settings: { accessLogFile: file, accessLogFormat: '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %BYTES_RECEIVED%\n' },
    ...(routes === undefined ? {} : { routes }),
  };
  const { port, stop } = await runPlane(plane, [...objects, inserted(http, network)], options);
  return {
    ask: (question) => ask(port('app.test_80'), question),
    say: (text) => say(port('db.test_80'), text),
    reply,
    heard() {
      const before = heard;
      heard = { http: [], grpc: [], app: [], tcp: '' };
      return before;
    },
    log: () => (existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : []),
    async stop() {
      await stop();
      app.closeAllConnections();
      service.closeAllConnections();
      for (const server of servers) server.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function entry(name: string, protocol: string, server: Server): MeshObject {
  return object('ServiceEntry', name, {
    ...{ hosts: [`${name}.test`], resolution: 'STATIC', ports: [{ number: 80, name: 'p', protocol }] },
    endpoints: [{ address: '127.0.0.1', ports: { p: (server.address() as AddressInfo).port } }],
  });
}

function inserted(http: Filters['http'] = [], network: Filters['network'] = []): MeshObject {
  const message = (kind: 'rbac' | 'ext_authz'): string => (kind === 'rbac' ? 'RBAC' : 'ExtAuthz');
  const version = { transport_api_version: 'V3' };
  const value = (layer: 'http' | 'network', { kind, config }: { kind: 'rbac' | 'ext_authz'; config: object }, more: object): object => ({
    name: `envoy.filters.${layer}.${kind}`,
    typed_config: { '@type': `${EXTENSIONS}.${layer}.${kind}.v3.${message(kind)}`, ...(kind === 'rbac' ? {} : version), ...more, ...config },
  });
  return object('networking.istio.io/v1alpha3 EnvoyFilter', 'filters', {
    configPatches: [
      ...http.toReversed().map((filter) => ({
        applyTo: 'HTTP_FILTER',
        match: { listener: { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } } },
        patch: { operation: 'INSERT_FIRST', value: value('http', filter, {}) },
      })),
      ...network.map((filter) => ({
        applyTo: 'NETWORK_FILTER',
        match: { listener: { filterChain: { filter: { name: 'envoy.filters.network.tcp_proxy' } } } },
        patch: { operation: 'INSERT_BEFORE', value: value('network', filter, { stat_prefix: 'tcp.' }) },
      })),
    ],
  });
}

function answerCheck(stream: ServerHttp2Stream, said: (message: JsonObject) => GrpcReply): void {
  const parts: Buffer[] = [];
  stream.on('error', () => undefined).on('data', (part: Buffer) => parts.push(part));
  stream.on('end', () => {
    const reply = said(toJson(CheckRequestSchema, fromBinary(CheckRequestSchema, Buffer.concat(parts).subarray(5))) as JsonObject);
    if (reply === 'never') return;
    const message = toBinary(CheckResponseSchema, create(CheckResponseSchema, reply));
    stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' })).end(frame(message));
  });
}

function told(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    headers[name] = headers[name] === undefined ? (raw[i + 1] ?? '') : `${headers[name]}|${raw[i + 1]}`;
  }
  return headers;
}

const ask = (port: number, { path = '/', method = 'GET', headers = [], body = '' }: Parameters<World['ask']>[0]): ReturnType<World['ask']> =>
  new Promise((resolve, reject) => {
    let text = '';
    const length = body === '' ? [] : [`content-length: ${body.length}`];
    const head = [`${method} ${path} HTTP/1.1`, 'host: app.test', 'connection: close', ...headers, ...length, '', ''].join('\r\n');
    const socket = connect(port, '127.0.0.1', () => socket.write(head + body, 'latin1'));
    socket.on('data', (part: Buffer) => (text += part.toString('latin1'))).on('error', reject);
    socket.on('close', () => {
      const end = text.indexOf('\r\n\r\n');
      const [status = '', ...lines] = text.slice(0, end).split('\r\n');
      resolve({ status: Number(status.split(' ')[1]), headers: lines.map((line) => line.toLowerCase()).toSorted(), body: text.slice(end + 4) });
    });
  });

function say(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (part: Buffer) => {
      answer += part.toString();
      socket.end();
    });
    socket.on('error', () => undefined).on('close', () => resolve(answer));
  });
}

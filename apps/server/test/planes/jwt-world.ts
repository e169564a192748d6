// A proxy with jwt_authn in front of an application that tells what it was asked, and the log of the proxy.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { PLANES, object, runPlane } from './planes.ts';

const host = 'app.test';
const RBAC = 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC';
const JWT = 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication';

export interface Question {
  path: string;
  headers?: Readonly<Record<string, string | string[]>>;
  method?: string;
}

export interface Answer {
  status: number | undefined;
  /** Of what the application was asked, where it was. */
  path?: string;
  /** Those of the request that begin with `x-`, `authorization` and `cookie`. */
  headers?: Readonly<Record<string, string>>;
  body?: string;
  challenge?: string;
  grpc?: string;
}

export interface World {
  ask(question: Question): Promise<Answer>;
  /** Details of the answers so far, in order, once the proxy has stopped. */
  stop(): Promise<string[]>;
}

interface Table {
  virtualHosts: { routes: JsonObject[] }[];
}

/** `routes` come before the one to the application, `rules` are for RBAC behind the tokens. */
export async function startWorld(plane: (typeof PLANES)[number], config: object, routes: readonly JsonObject[] = [], rules?: object): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-jwt-'));
  const file = join(dir, 'log');
  const app = createServer(({ url, rawHeaders }, response) => response.end(JSON.stringify({ path: url, headers: told(rawHeaders) })));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const entry = object('ServiceEntry', 'app', {
    ...{ hosts: [host], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
    endpoints: [{ address: '127.0.0.1', ports: { http: (app.address() as AddressInfo).port } }],
  });
  const first = (name: string, typed_config: object): object => ({
    applyTo: 'HTTP_FILTER',
    match: { listener: { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } } },
    patch: { operation: 'INSERT_FIRST', value: { name, typed_config } },
  });
  const filters = object('networking.istio.io/v1alpha3 EnvoyFilter', 'jwt', {
    configPatches: [
      ...(rules === undefined ? [] : [first('envoy.filters.http.rbac', { '@type': RBAC, rules })]),
      first('envoy.filters.http.jwt_authn', { '@type': JWT, ...config }),
    ],
  });
  const { port, stop } = await runPlane(plane, [entry, filters], {
    node: { upstreams: [{ host, port: 80, listenPort: 1 }] },
    settings: { accessLogFile: file, accessLogFormat: '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n' },
    routes: (table) => {
      for (const { routes: known } of (table as unknown as Table).virtualHosts) known.unshift(...routes);
    },
  });
  return {
    ask: (question) => ask(port(`${host}_80`), question),
    async stop() {
      await stop();
      app.closeAllConnections();
      app.close();
      const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
      rmSync(dir, { recursive: true, force: true });
      return lines;
    },
  };
}

function told(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    if (/^(x-(?!envoy|forwarded|request-id|weft)|authorization|cookie)/.test(name)) headers[name] = [headers[name] ?? [], raw[i + 1] ?? ''].flat().join(' & ');
  }
  return headers;
}

function ask(port: number, { path, headers = {}, method = 'GET' }: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers: { host, ...headers }, agent: false }, (response) => {
      let text = '';
      response
        .setEncoding('utf8')
        .on('data', (part: string) => (text += part))
        .on('error', reject);
      response.on('end', () => {
        const { 'www-authenticate': challenge, 'grpc-status': grpc, 'grpc-message': message } = response.headers;
        if (text.startsWith('{')) return resolve({ status: response.statusCode, ...(JSON.parse(text) as object) });
        const said = grpc === undefined ? {} : { grpc: `${String(grpc)} ${String(message)}` };
        resolve({ status: response.statusCode, ...said, ...(text === '' ? {} : { body: text }), ...(challenge === undefined ? {} : { challenge }) });
      });
    });
    sent.on('error', reject).end();
  });
}

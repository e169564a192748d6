// Values of added headers: Envoy's %COMMAND% formats over what is known of a request when its header is written.

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { parseB3, parsePeerHeader, parseTraceparent } from '@weft/mesh-core/telemetry';
import { compileSubstitution, type DynamicMetadata, pathWithoutQuery, type CommandResolver } from '@weft/mesh-core/traffic';
import { addressCommand, withoutPort } from './address-commands.ts';
import { connectionCommand } from './connection-commands.ts';
import type { RequestRecord, TcpRecord } from './hooks.ts';
import { requestCommand } from './request-commands.ts';
import { compileTime } from './time-format.ts';

/** A request, or a TCP connection in the form of one: it has no manager and no protocol, but a transport that failed. */
export interface ReportedRecord extends Omit<RequestRecord, 'manager' | 'protocol'> {
  manager?: RequestRecord['manager'];
  protocol: RequestRecord['protocol'] | '';
  transportFailure?: string;
  downstreamFailure?: string;
  terminationDetails?: string;
  proxy?: TcpRecord['proxy'];
}

export interface HeaderValueSource {
  readonly record: ReportedRecord;
  /** First value of a request header, name in lower case. */
  request(name: string): string | undefined;
  /** The same of the response, undefined before there is one. */
  response(name: string): string | undefined;
  /** The same of the response's trailers, once it is over. */
  trailer?(name: string): string | undefined;
  /** What filters have found out. */
  readonly metadata?: DynamicMetadata | undefined;
}

type Read = (source: HeaderValueSource) => string | undefined;

const some = (text: string): string | undefined => (text === '' ? undefined : text);
/** What does not come from a header may hold anything; its bytes, as of what does. */
const clean = (text: string): string =>
  Buffer.from(text)
    .toString('latin1')
    .replaceAll(/[^\t -~\u0080-\u00ff]/g, '');
const hostName = ({ record }: HeaderValueSource): string => record.endpoint?.hostname || record.upstreamAddress;

/** Of a trace that is not recorded, what goes on. */
function traceContext(source: HeaderValueSource): { traceId: string; spanId: string } | undefined {
  const { trace } = source.record;
  if (trace === undefined || trace.traceId !== '') return trace;
  const request = (name: string): string | undefined => source.request(name);
  return parseTraceparent(trace.traceparent ?? request('traceparent')) ?? parseB3(request);
}

/** Agreed on in the handshake where the cluster leaves it open. */
function upstreamProtocol({ record }: HeaderValueSource): string | undefined {
  const { upstreamSocket: socket, cluster, protocol } = record;
  if (socket === undefined || cluster === undefined || protocol === '') return undefined;
  const { protocol: wanted } = cluster.http;
  const http2 =
    wanted === 'auto' ? 'alpnProtocol' in socket && socket.alpnProtocol === 'h2' : wanted === 'http2' || (wanted === 'downstream' && protocol === 'HTTP/2');
  return http2 ? 'HTTP/2' : 'HTTP/1.1';
}

/** Of the chain that took the connection. */
function chainName({ record }: HeaderValueSource): string | undefined {
  const { chains, defaultChain } = record.listener;
  const own = [...chains, defaultChain].find((chain) => (record.manager === undefined ? chain?.tcp === record.proxy : chain?.http === record.manager));
  return own === undefined ? undefined : some(own.name);
}

const COMMANDS: Readonly<Record<string, Read>> = {
  PROTOCOL: ({ record }) => record.protocol,
  STREAM_ID: ({ record }) => (record.protocol === '' ? randomUUID() : some(record.requestId)),
  ROUTE_NAME: ({ record }) => some(record.route?.name ?? ''),
  RESPONSE_CODE: ({ record }) => String(record.status),
  RESPONSE_CODE_DETAILS: ({ record }) => some(record.details.replaceAll(' ', '_')),
  RESPONSE_FLAGS: ({ record }) => record.responseFlags,
  HOSTNAME: () => hostname(),
  UPSTREAM_CLUSTER: ({ record }) => record.cluster?.name,
  UPSTREAM_CLUSTER_RAW: ({ record }) => record.cluster?.name,
  UPSTREAM_HOST: ({ record }) => some(record.upstreamAddress),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: ({ record }) => String(record.attempts),
  UPSTREAM_HOST_NAME: (source) => some(hostName(source)),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: (source) => some(withoutPort(hostName(source))),
  UPSTREAM_PROTOCOL: upstreamProtocol,
  LISTENER_NAME: ({ record }) => some(record.listener.name),
  FILTER_CHAIN_NAME: chainName,
  TRACE_ID: (source) => traceContext(source)?.traceId,
  SPAN_ID: (source) => traceContext(source)?.spanId,
};

/** Header of `REQ(X?Y)`; pseudo headers by their names. */
function readHeader(argument: string | undefined, read: (source: HeaderValueSource, name: string) => string | undefined): Read | undefined {
  if (argument === undefined || argument === '') return undefined;
  const [first = '', second] = argument.toLowerCase().split('?');
  return (source) => read(source, first) ?? (second === undefined ? undefined : read(source, second));
}

function requestHeader(source: HeaderValueSource, name: string): string | undefined {
  switch (name) {
    case ':method':
      return source.record.method;
    case ':path':
      return source.request(name) ?? source.record.path;
    case ':authority':
    case 'host':
      return some(source.record.authority);
    case ':scheme':
      return source.request(name) ?? (source.record.method === '' ? undefined : source.record.tls ? 'https' : 'http');
    default:
      return source.request(name);
  }
}

const OWNERS: Readonly<Record<string, (source: HeaderValueSource) => DynamicMetadata | undefined>> = {
  ROUTE: ({ record }) => record.route?.metadata,
  CLUSTER: ({ record }) => record.cluster?.metadata,
  UPSTREAM_HOST: ({ record }) => record.endpoint?.metadata,
  // Their metadata is not read here, as nobody sets any.
  LISTENER: () => undefined,
  LISTENER_FILTER_CHAIN: () => undefined,
  VIRTUAL_HOST: () => undefined,
  DYNAMIC: (source) => ({ ...source.metadata, 'weft.peer': peerFields(source) }),
};

/** As the rules of the listener name them in Envoy. */
function peerFields({ record: { peer } }: HeaderValueSource): unknown {
  if (peer.header === undefined) return undefined;
  const { canonicalService, canonicalRevision, principal: _, ...same } = parsePeerHeader(peer.header, '');
  return { ...same, canonical_service: canonicalService, canonical_revision: canonicalRevision };
}

type Metadata = (source: HeaderValueSource) => unknown;

/** What a command about metadata names; undefined = not known here. */
export function metadataCommand(command: string, argument: string | undefined): Metadata | undefined {
  switch (command) {
    case 'METADATA':
      return metadata(argument);
    case 'DYNAMIC_METADATA':
      return metadata(`DYNAMIC:${argument}`);
    case 'CLUSTER_METADATA':
      return metadata(`CLUSTER:${argument}`);
    case 'UPSTREAM_METADATA':
      return metadata(`UPSTREAM_HOST:${/^\(?\["(.*)"\]\)?$/.exec(argument ?? '')?.[1]?.replaceAll(/",\s*"/g, ':') ?? argument ?? ''}`);
    default:
      return undefined;
  }
}

function metadata(argument: string | undefined): Metadata | undefined {
  const [type = '', namespace = '', ...path] = argument?.split(':') ?? [];
  const owner = Object.hasOwn(OWNERS, type) ? OWNERS[type] : undefined;
  // What Envoy's own filters tell of a request is told here by those of tokens only.
  if (owner === undefined || (type === 'DYNAMIC' && namespace.startsWith('envoy.') && namespace !== 'envoy.filters.http.jwt_authn')) return undefined;
  return (source) => {
    let value: unknown = owner(source)?.[namespace];
    for (const key of path) value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
    return value;
  };
}

function metadataText(command: string, argument: string | undefined): Read | undefined {
  const read = metadataCommand(command, argument);
  return (
    read &&
    ((source) => {
      const value = read(source);
      return value === undefined ? undefined : clean(typeof value === 'string' ? value : JSON.stringify(value));
    })
  );
}

function startTime(format: string | undefined, local = false): Read | undefined {
  const told = compileTime(format, local);
  return told && (({ record }) => told(performance.timeOrigin + record.startedAt));
}

/** Headers that tell it, where a route has changed it. */
const PATHS: Readonly<Record<string, string>> = { ORIG: 'x-envoy-original-path', PATH: ':path', ORIG_OR_PATH: 'x-envoy-original-path?:path' };

export const resolveCommand: CommandResolver<HeaderValueSource> = (command, argument) => {
  switch (command) {
    case 'REQ':
    case 'REQUEST_HEADER':
      return readHeader(argument, requestHeader);
    case 'RESP':
    case 'RESPONSE_HEADER':
      return readHeader(argument, (source, name) => source.response(name) ?? (name === ':status' ? some(String(source.record.status || '')) : undefined));
    case 'REQ_WITHOUT_QUERY': {
      const read = readHeader(argument, requestHeader);
      return read === undefined ? undefined : (source) => pathWithoutQuery(read(source) ?? '');
    }
    case 'PATH': {
      const [, query, of = 'ORIG_OR_PATH'] = /^(WQ|NQ)(?::(ORIG|PATH|ORIG_OR_PATH))?$/.exec(argument ?? 'WQ') ?? [];
      return query === undefined ? undefined : resolveCommand(query === 'NQ' ? 'REQ_WITHOUT_QUERY' : 'REQ', PATHS[of]);
    }
    case 'START_TIME':
    case 'START_TIME_LOCAL':
      return startTime(argument, command === 'START_TIME_LOCAL');
    default:
      return (
        metadataText(command, argument) ??
        requestCommand(command, argument) ??
        addressCommand(command, argument) ??
        connectionCommand(command, argument) ??
        (argument === undefined ? COMMANDS[command] : undefined)
      );
  }
};

/** @throws SubstitutionError */
export function compileHeaderValue(value: string): string | ((source: HeaderValueSource) => string) {
  return compileSubstitution(value, resolveCommand, '');
}

/** What is wrong with a header value, undefined = nothing. */
export function headerValueProblem(value: string): string | undefined {
  if (/[\r\n\0]/.test(value)) return 'a header value has no line breaks';
  try {
    compileHeaderValue(value);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

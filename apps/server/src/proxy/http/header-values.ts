// Values of added headers: Envoy's %COMMAND% formats over what is known of a request when its header is written.

import { hostname } from 'node:os';
import { parseB3, parsePeerHeader, parseTraceparent } from '@weft/mesh-core/telemetry';
import { compileSubstitution, type DynamicMetadata, pathWithoutQuery, type CommandResolver } from '@weft/mesh-core/traffic';
import { connectionCommand } from './connection-commands.ts';
import type { RequestRecord, TcpRecord } from './hooks.ts';
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
/** What does not come from a header may hold anything. */
const clean = (text: string): string => text.replaceAll(/[^\t -~\u00a0-\u00ff]/g, '');
const withoutPort = (address: string): string | undefined => some(address.replace(/:\d+$/, ''));
const portOf = (address: string): string | undefined => /:(\d+)$/.exec(address)?.[1];
const localAddress = ({ record }: HeaderValueSource): string => record.localAddress;
const hostName = ({ record }: HeaderValueSource): string => record.endpoint?.hostname || record.upstreamAddress;

/** Of a trace that is not recorded, that of what goes on. */
function traceId(source: HeaderValueSource): string | undefined {
  const { trace } = source.record;
  if (trace === undefined || trace.traceId !== '') return trace?.traceId;
  const request = (name: string): string | undefined => source.request(name);
  return (parseTraceparent(trace.traceparent ?? request('traceparent')) ?? parseB3(request))?.traceId;
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
  STREAM_ID: ({ record }) => some(record.requestId),
  ROUTE_NAME: ({ record }) => some(record.route?.name ?? ''),
  RESPONSE_CODE: ({ record }) => String(record.status),
  RESPONSE_CODE_DETAILS: ({ record }) => some(record.details.replaceAll(' ', '_')),
  RESPONSE_FLAGS: ({ record }) => record.responseFlags,
  HOSTNAME: () => hostname(),
  UPSTREAM_CLUSTER: ({ record }) => record.cluster?.name,
  UPSTREAM_CLUSTER_RAW: ({ record }) => record.cluster?.name,
  UPSTREAM_HOST: ({ record }) => some(record.upstreamAddress),
  UPSTREAM_REMOTE_ADDRESS: ({ record }) => some(record.upstreamAddress),
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: ({ record }) => withoutPort(record.upstreamAddress),
  UPSTREAM_REMOTE_PORT: ({ record }) => portOf(record.upstreamAddress),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: ({ record }) => String(record.attempts),
  DOWNSTREAM_REMOTE_ADDRESS: ({ record }) => record.downstreamAddress,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: ({ record }) => withoutPort(record.downstreamAddress),
  DOWNSTREAM_REMOTE_PORT: ({ record }) => portOf(record.downstreamAddress),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: ({ record }) => record.directAddress,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: ({ record }) => withoutPort(record.directAddress),
  DOWNSTREAM_LOCAL_ADDRESS: localAddress,
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: (source) => withoutPort(localAddress(source)),
  DOWNSTREAM_LOCAL_PORT: (source) => portOf(localAddress(source)),
  DOWNSTREAM_DIRECT_REMOTE_PORT: ({ record }) => portOf(record.directAddress),
  UPSTREAM_HOST_NAME: (source) => some(hostName(source)),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: (source) => withoutPort(hostName(source)),
  UPSTREAM_PROTOCOL: upstreamProtocol,
  LISTENER_NAME: ({ record }) => some(record.listener.name),
  FILTER_CHAIN_NAME: chainName,
  TRACE_ID: traceId,
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
      return source.record.authority;
    case ':scheme':
      return source.request(name) ?? (source.record.tls ? 'https' : 'http');
    default:
      return source.request(name);
  }
}

const OWNERS: Readonly<Record<string, (source: HeaderValueSource) => DynamicMetadata | undefined>> = {
  ROUTE: ({ record }) => record.route?.metadata,
  CLUSTER: ({ record }) => record.cluster?.metadata,
  UPSTREAM_HOST: ({ record }) => record.endpoint?.metadata,
  DYNAMIC: (source) => ({ ...source.metadata, 'weft.peer': peerFields(source) }),
};

/** As the rules of the listener name them in Envoy. */
function peerFields({ record: { peer } }: HeaderValueSource): unknown {
  if (peer.header === undefined) return undefined;
  const { canonicalService, canonicalRevision, principal: _, ...same } = parsePeerHeader(peer.header, '');
  return { ...same, canonical_service: canonicalService, canonical_revision: canonicalRevision };
}

function metadata(argument: string | undefined): Read | undefined {
  const [type = '', namespace = '', ...path] = argument?.split(':') ?? [];
  const owner = Object.hasOwn(OWNERS, type) ? OWNERS[type] : undefined;
  // What Envoy's own filters tell of a request is told here by those of tokens only.
  if (owner === undefined || (type === 'DYNAMIC' && namespace.startsWith('envoy.') && namespace !== 'envoy.filters.http.jwt_authn')) return undefined;
  return (source) => {
    let value: unknown = owner(source)?.[namespace];
    for (const key of path) value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
    return value === undefined ? undefined : clean(typeof value === 'string' ? value : JSON.stringify(value));
  };
}

function startTime(format: string | undefined): Read | undefined {
  const told = compileTime(format);
  return told && (({ record }) => told(performance.timeOrigin + record.startedAt));
}

/** Headers that tell it, where a route has changed it. */
const PATHS: Readonly<Record<string, string>> = { ORIG: 'x-envoy-original-path', PATH: ':path', ORIG_OR_PATH: 'x-envoy-original-path?:path' };

export const resolveCommand: CommandResolver<HeaderValueSource> = (command, argument) => {
  switch (command) {
    case 'REQ':
      return readHeader(argument, requestHeader);
    case 'RESP':
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
      return startTime(argument);
    case 'METADATA':
      return metadata(argument);
    case 'DYNAMIC_METADATA':
      return metadata(`DYNAMIC:${argument}`);
    case 'CLUSTER_METADATA':
      return metadata(`CLUSTER:${argument}`);
    case 'UPSTREAM_METADATA':
      return metadata(`UPSTREAM_HOST:${/^\(?\["(.*)"\]\)?$/.exec(argument ?? '')?.[1]?.replaceAll(/",\s*"/g, ':') ?? argument ?? ''}`);
    default:
      return connectionCommand(command, argument) ?? (argument === undefined ? COMMANDS[command] : undefined);
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

// Access log formats of text and JSON, compiled once. The default is Istio's text format.

import { compileSubstitution, type CommandResolver } from '@weft/mesh-core/traffic';
import type { JsonFormat, JsonFormatValue, LogFormat } from '../config/log-model.ts';
import { type HeaderValueSource, resolveCommand } from '../http/header-values.ts';
import type { TcpRecord } from '../http/hooks.ts';
import { logCommand } from './log-commands.ts';

export type LogFormatter = (source: HeaderValueSource) => string;

type Read = (source: HeaderValueSource) => string | undefined;

/** In JSON these are numbers. */
const NUMBERS =
  /^%(RESPONSE_CODE|BYTES_RECEIVED|BYTES_SENT|(\w+_)?DURATION|(UPSTREAM_)?CONNECTION_ID|UPSTREAM_REQUEST_ATTEMPT_COUNT|\w+_PORT|GRPC_STATUS_NUMBER)%$/;
/** No value has this character in it. */
const NO_VALUE = '\0';
const ONE_COMMAND = /^%[A-Z0-9_]+(\([^)]*\))?(:\d+)?%$/;

/** Headers this proxy writes itself are not among those that came. */
function ownHeader(command: string, argument: string | undefined): Read | undefined {
  switch (`${command}(${argument?.toLowerCase()})`) {
    case 'REQ(x-forwarded-for)':
      return (source) => {
        const { record } = source;
        const given = source.request('x-forwarded-for');
        const client = record.downstreamAddress.replace(/:\d+$/, '');
        return record.manager?.useRemoteAddress !== true ? given : given === undefined ? client : `${given},${client}`;
      };
    case 'REQ(x-request-id)':
      return ({ record }) => record.requestId;
    case 'REQ(x-envoy-original-path?:path)':
      return ({ record }) => record.path;
    case 'RESP(server)':
      return (source) => source.record.manager?.serverName || source.response('server');
    case 'RESP(x-envoy-upstream-service-time)':
      return ({ record }) => (record.upstreamServiceMs < 0 ? undefined : String(record.upstreamServiceMs));
    default:
      return undefined;
  }
}

function resolver(change: (value: string) => string): CommandResolver<HeaderValueSource> {
  return (command, argument) => {
    const own = ownHeader(command, argument);
    const read = own ?? logCommand(command, argument) ?? resolveCommand(command, argument);
    if (read === undefined) return undefined;
    // A header that came without a value is there, as in Envoy.
    const mayBeEmpty = own === undefined && /^(REQ|RESP|TRAILER)\([^:]/.test(`${command}(${argument}`);
    // RFC 2253 has escaped what needs it.
    const changed = command.endsWith('_SUBJECT') || command.endsWith('_PEER_ISSUER') ? (name: string) => name : change;
    return (source) => {
      const value = read(source);
      return value === undefined || (value === '' && !mayBeEmpty) ? undefined : changed(value);
    };
  };
}
const forText = resolver(clean);
const forJson = resolver((value) => value);

/** @throws SubstitutionError */
export function compileLogFormat(format: LogFormat): LogFormatter {
  if (format.kind === 'text') {
    const line = compileSubstitution(format.template, forText, format.omitEmpty ? '' : '-');
    return typeof line === 'string' ? () => line : line;
  }
  const value = compileObject(format.template, format.omitEmpty);
  return (source) => `${JSON.stringify(value(source))}\n`;
}

/** The value of a span's tag; what has none leaves nothing. @throws SubstitutionError */
export function compileTagFormat(format: string): LogFormatter {
  const read = compileSubstitution(format, forJson, '');
  return typeof read === 'string' ? () => read : read;
}

type JsonValue = string | number | boolean | null | undefined | JsonValue[] | { [key: string]: JsonValue };

function compileObject(object: JsonFormat, omitEmpty: boolean): (source: HeaderValueSource) => JsonValue {
  const entries = Object.keys(object)
    .toSorted()
    .map((key) => [key, compileValue(object[key] ?? null, omitEmpty)] as const);
  return (source) => {
    const result: Record<string, JsonValue> = {};
    for (const [key, read] of entries) result[key] = read(source);
    return result;
  };
}

/** One command alone keeps its type, and is null where it has no value; text around it makes a string of both. */
function compileValue(value: JsonFormatValue, omitEmpty: boolean): (source: HeaderValueSource) => JsonValue {
  if (Array.isArray(value)) {
    const items = value.map((item) => compileValue(item, omitEmpty));
    return (source) => items.map((read) => read(source));
  }
  if (typeof value === 'object' && value !== null) return compileObject(value, omitEmpty);
  if (typeof value !== 'string') return () => value;
  const alone = ONE_COMMAND.test(value);
  const read = compileSubstitution(value, forJson, alone ? NO_VALUE : omitEmpty ? '' : '-');
  if (typeof read === 'string') return () => read;
  if (!alone) return read;
  const none = omitEmpty ? undefined : null;
  const number = NUMBERS.test(value);
  return (source) => {
    const text = read(source);
    return text === NO_VALUE ? none : number ? Number(text) : text;
  };
}

/** A TCP connection that is over, as a request that says nothing of HTTP. */
export function tcpSource(record: TcpRecord): HeaderValueSource {
  const nothing = { virtualHost: '', routeConfig: '', method: '', path: '', authority: '', protocol: '', userAgent: '', contentType: '' } as const;
  return {
    request: () => undefined,
    response: () => undefined,
    record: {
      ...record,
      ...nothing,
      ...{
        requestHeaderBytes: 0,
        responseHeaderBytes: 0,
        status: 0,
        attempts: 0,
        requestId: '',
        callerOperation: '',
        grpcStatus: '',
        tryMs: -1,
        upstreamServiceMs: -1,
        requestMs: -1,
        responseMs: -1,
        requestMessages: 0,
        responseMessages: 0,
      },
      requestBodyBytes: record.receivedBytes,
      responseBodyBytes: record.sentBytes,
      route: undefined,
      trace: undefined,
    },
  };
}

/** What a client sends must not be able to forge a line or end a quoted field. */
function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f"\\\u007f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

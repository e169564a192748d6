// Access log formats of text and JSON, compiled once. The default is Istio's text format.

import { isUtf8 } from 'node:buffer';
import { noWire } from '../../http-wire/socket/wire-meter.ts';
import { compileSubstitution, type CommandResolver } from '@weft/mesh-core/traffic';
import type { JsonFormat, JsonFormatValue, LogFormat } from '../config/log-model.ts';
import { type HeaderValueSource, metadataCommand, resolveCommand } from '../http/header-values.ts';
import type { TcpRecord } from '../http/hooks.ts';
import { compileLogValue } from './cel-attributes.ts';
import { logCommand } from './log-commands.ts';

export type LogFormatter = (source: HeaderValueSource) => string;

type Read = (source: HeaderValueSource) => string | undefined;

/** In JSON these are numbers. */
const NUMBERS =
  /^%(RESPONSE_CODE|(BYTES|PACKETS)_\w+|\w+_BYTES_(SENT|RECEIVED)|(\w+_)?DURATION|(UPSTREAM_)?CONNECTION_ID|UPSTREAM_REQUEST_ATTEMPT_COUNT|(?!\w+_WITHOUT_)\w+_PORT|GRPC_STATUS_NUMBER)%$/;
/** No value has this character in it. */
const NO_VALUE = '\0';
const ONE_COMMAND = /^%([A-Z0-9_]+)(?:\(((?:(?!\)(?::\d+)?%).)*)\))?(?::\d+)?%$/;
const ALIASES: Readonly<Record<string, string>> = { REQUEST_HEADER: 'REQ', RESPONSE_HEADER: 'RESP', RESPONSE_TRAILER: 'TRAILER' };
/** Those whose values no client has a say in; RFC 2253 has escaped what needs it in names of certificates. */
const TRUSTED = /^(\w+_SUBJECT|\w+_PEER_ISSUER|ROUTE_NAME|((CLUSTER|UPSTREAM)_METADATA|METADATA\((?!DYNAMIC)).*)$/;
/** What came without a value is there, as in Envoy. */
const MAY_BE_EMPTY = /^((REQ|RESP|TRAILER)\([^:]|QUERY_PARAM|CUSTOM_FLAGS|LOCAL_REPLY_BODY)/;

/** Headers this proxy writes itself are not among those that came. */
function ownHeader(command: string, argument: string | undefined): Read | undefined {
  switch (`${command}(${argument?.toLowerCase()})`) {
    case 'REQ(x-request-id)':
      return ({ record }) => record.requestId;
    case 'REQ(x-envoy-original-path?:path)':
      return ({ record }) => record.path;
    case 'RESP(x-envoy-upstream-service-time)':
      return ({ record }) => (record.upstreamServiceMs < 0 ? undefined : String(record.upstreamServiceMs));
    default:
      return undefined;
  }
}

const resolve: CommandResolver<HeaderValueSource> = (written, argument) => {
  const command = ALIASES[written] ?? written;
  if (command === 'COALESCE') return coalesce(argument ?? '');
  const own = ownHeader(command, argument);
  const read = own ?? logCommand(command, argument) ?? resolveCommand(command, argument);
  if (read === undefined || (own === undefined && MAY_BE_EMPTY.test(`${command}(${argument}`))) return read;
  return (source) => read(source) || undefined;
};

/** The first of some commands that has a value: `{"operators": ["NAME", {"command", "param", "max_length"}]}`. */
function coalesce(json: string): Read | undefined {
  const { operators } = JSON.parse(json) as { operators: readonly (string | { command: string; param?: string; max_length?: number })[] };
  const reads = operators.map((operator) => {
    const { command, param, max_length } = typeof operator === 'string' ? { command: operator } : operator;
    const read = resolve(command, param);
    return read && ((source: HeaderValueSource) => read(source)?.slice(0, max_length));
  });
  if (!reads.every((read) => read !== undefined)) return undefined;
  return (source) => {
    for (const read of reads) {
      const value = read(source);
      if (value) return value;
    }
    return undefined;
  };
}

const forText = (command: string, argument: string | undefined): ((value: string) => string) =>
  TRUSTED.test(argument === undefined ? command : `${command}(${argument}`) ? decoded : (value) => clean(decoded(value));
const forJson = () => decoded;

/** @throws SubstitutionError */
export function compileLogFormat(format: LogFormat): LogFormatter {
  if (format.kind === 'text') {
    const line = compileSubstitution(format.template, resolve, format.omitEmpty ? '' : '-', forText);
    return typeof line === 'string' ? () => line : line;
  }
  const value = compileObject(format.template, format.omitEmpty);
  return (source) => `${JSON.stringify(value(source))}\n`;
}

/** The value of a span's tag; what has none leaves nothing. @throws SubstitutionError */
export function compileTagFormat(format: string): LogFormatter {
  const read = compileSubstitution(format, resolve, '', forJson);
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
  const alone = ONE_COMMAND.exec(value);
  const read = compileSubstitution(value, resolve, alone === null ? (omitEmpty ? '' : '-') : NO_VALUE, forJson);
  if (typeof read === 'string') return () => read;
  if (alone === null) return read;
  const none = omitEmpty ? undefined : null;
  const number = NUMBERS.test(value);
  const typed = typedCommand(alone[1] ?? '', alone[2]);
  return (source) => {
    const whole = typed?.(source);
    if (whole !== undefined && typeof whole !== 'string') return whole as JsonValue;
    const text = read(source);
    return text === NO_VALUE ? none : number ? Number(text) : text;
  };
}

/** What has more types than text; texts are cut to a length as others. */
function typedCommand(command: string, argument: string | undefined): ((source: HeaderValueSource) => unknown) | undefined {
  return command === 'TYPED_CEL' ? compileLogValue(argument ?? '') : metadataCommand(command, argument);
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
      downstreamWire: { ...noWire, received: record.receivedBytes, sent: record.sentBytes },
      upstreamWire: record.upstreamSocket === undefined ? noWire : { ...noWire, received: record.sentBytes, sent: record.receivedBytes },
      requestBodyBytes: record.receivedBytes,
      responseBodyBytes: record.sentBytes,
      route: undefined,
      trace: undefined,
    },
  };
}

const PLAIN = /^[ -~]*$/;
/** Headers come as bytes: those of UTF-8 are read as such, as in Envoy. */
export function decoded(text: string): string {
  // oxlint-disable-next-line no-control-regex
  if (PLAIN.test(text) || /[^\0-\xff]/.test(text)) return text;
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : text;
}

/** What a client sends must not be able to forge a line or end a quoted field. */
function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f"\\\u007f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

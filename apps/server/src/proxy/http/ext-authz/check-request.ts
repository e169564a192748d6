// CheckRequest, as Envoy fills it: envoy/service/auth/v3/{external_auth,attribute_context}.proto.

import { isUtf8 } from 'node:buffer';
import type { RbacConnection } from '@weft/mesh-core/traffic';
import { type JsonObject, type JsonValue, WireType, WireWriter } from '@weft/mesh-core/wire';
import type { HeaderPair } from './verdict.ts';

export interface CheckedConnection {
  access: RbacConnection;
  sourcePort: number;
  /** This proxy's own URI SAN, '' without TLS. */
  ownIdentity: string;
}

/** Texts of a request are latin1. */
export interface CheckedRequest {
  /** Of the day, ms. */
  time: number;
  id: string;
  method: string;
  headers: readonly HeaderPair[];
  /** Lines one by one, not joined. */
  rawHeaders: boolean;
  path: string;
  host: string;
  scheme: string;
  size: number;
  protocol: string;
  body: string;
  bodyAsBytes: boolean;
  /** Who calls, by its own word. */
  callerService: string;
  contextExtensions: Readonly<Record<string, string>>;
  metadata: JsonObject;
  routeMetadata: JsonObject;
}

type Fill = (writer: WireWriter) => void;

const message = (writer: WireWriter, field: number, fill: Fill): void => {
  writer.tag(field, WireType.bytes).fork();
  fill(writer);
  writer.join();
};
const string = (writer: WireWriter, field: number, text: string): void => {
  if (text !== '') writer.tag(field, WireType.bytes).string(text);
};
/** Bytes as a text: those that are none are left out, marked (as Envoy). */
const bytesAsText = (writer: WireWriter, field: number, latin1: string): void => {
  const bytes = Buffer.from(latin1, 'latin1');
  string(writer, field, isUtf8(bytes) ? bytes.toString() : bytes.toString().replaceAll('\ufffd', '!'));
};
const entry = (writer: WireWriter, field: number, key: string, value: Fill): void =>
  message(writer, field, (inner) => {
    string(inner, 1, key);
    value(inner);
  });

export function connectionCheck(connection: CheckedConnection, tlsSession: boolean): Uint8Array {
  return check((attributes) => {
    peers(attributes, connection, '', connection.access.serverName);
    message(attributes, 11, () => undefined);
    if (tlsSession) session(attributes, connection);
  });
}

export function requestCheck(connection: CheckedConnection, request: CheckedRequest, tlsSession: boolean): Uint8Array {
  return check((attributes) => {
    peers(attributes, connection, request.callerService, '');
    message(attributes, 4, (inner) => {
      const seconds = Math.floor(request.time / 1000);
      message(inner, 1, (time) =>
        time
          .tag(1, WireType.varint)
          .int64(seconds)
          .tag(2, WireType.varint)
          .int32(Math.round((request.time - seconds * 1000) * 1e6)),
      );
      message(inner, 2, (http) => httpRequest(http, request));
    });
    for (const [key, value] of Object.entries(request.contextExtensions)) entry(attributes, 10, key, (inner) => string(inner, 2, value));
    message(attributes, 11, (inner) => metadata(inner, request.metadata));
    if (tlsSession) session(attributes, connection);
    message(attributes, 13, (inner) => metadata(inner, request.routeMetadata));
  });
}

function check(fill: Fill): Uint8Array {
  const writer = new WireWriter();
  message(writer, 1, fill);
  return writer.finish();
}

function peers(writer: WireWriter, { access, sourcePort, ownIdentity }: CheckedConnection, sourceService: string, ownService: string): void {
  const { tls, uriNames, dnsNames, subject, sourceAddress, destinationAddress, destinationPort } = access;
  peer(writer, 1, [sourceAddress, sourcePort], sourceService, tls ? (uriNames[0] ?? dnsNames[0] ?? subject) : '');
  peer(writer, 2, [destinationAddress, destinationPort], ownService, ownIdentity);
}

function peer(writer: WireWriter, field: number, [address, port]: readonly [string, number], service: string, principal: string): void {
  message(writer, field, (inner) => {
    message(inner, 1, (of) =>
      message(of, 1, (socket) => {
        string(socket, 2, address);
        socket.tag(3, WireType.varint).uint32(port);
      }),
    );
    bytesAsText(inner, 2, service);
    string(inner, 4, principal);
  });
}

function session(writer: WireWriter, { access }: CheckedConnection): void {
  message(writer, 12, (inner) => string(inner, 1, access.serverName));
}

function httpRequest(writer: WireWriter, request: CheckedRequest): void {
  const { headers, rawHeaders, body, bodyAsBytes, size } = request;
  string(writer, 1, request.id);
  string(writer, 2, request.method);
  if (!rawHeaders) for (const [name, value] of joined(headers)) entry(writer, 3, name, (inner) => bytesAsText(inner, 2, value));
  bytesAsText(writer, 4, request.path);
  bytesAsText(writer, 5, request.host);
  string(writer, 6, request.scheme);
  if (size > 0) writer.tag(9, WireType.varint).int64(size);
  string(writer, 10, request.protocol);
  if (body !== '' && bodyAsBytes) writer.tag(12, WireType.bytes).bytes(Buffer.from(body, 'latin1'));
  else bytesAsText(writer, 11, body);
  if (!rawHeaders) return;
  message(writer, 13, (map) => {
    for (const [name, value] of headers)
      message(map, 1, (header) => {
        string(header, 1, name);
        header.tag(3, WireType.bytes).bytes(Buffer.from(value, 'latin1'));
      });
  });
}

/** One value a name. */
export function joined(headers: readonly HeaderPair[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of headers) {
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before},${value}`);
  }
  return values;
}

/** `filter_metadata`: a Struct a namespace. */
function metadata(writer: WireWriter, namespaces: JsonObject): void {
  for (const [name, fields] of Object.entries(namespaces)) entry(writer, 1, name, (inner) => message(inner, 2, (struct) => writeStruct(struct, fields)));
}

function writeStruct(writer: WireWriter, fields: JsonValue): void {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return;
  for (const [key, value] of Object.entries(fields)) entry(writer, 1, key, (inner) => message(inner, 2, (of) => writeValue(of, value)));
}

function writeValue(writer: WireWriter, value: JsonValue): void {
  if (typeof value === 'number') writer.tag(2, WireType.bit64).double(value);
  else if (typeof value === 'string') writer.tag(3, WireType.bytes).string(value);
  else if (typeof value === 'boolean') writer.tag(4, WireType.varint).bool(value);
  else if (Array.isArray(value))
    message(writer, 6, (list) => {
      for (const item of value) message(list, 1, (of) => writeValue(of, item));
    });
  else if (value === null || value === undefined) writer.tag(1, WireType.varint).uint32(0);
  else message(writer, 5, (struct) => writeStruct(struct, value));
}

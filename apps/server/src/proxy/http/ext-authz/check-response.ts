// CheckResponse, read as Envoy 1.40 reads it.

import { enumNumber, type JsonObject, messageToJson } from '@weft/mesh-core/wire';
import { isFinalStatus } from '../heads.ts';
import { failed, type HeaderPair, type ResponseChange, type Verdict } from './verdict.ts';

interface HeaderOption {
  header?: { key?: string; value?: string };
  append?: boolean;
  appendAction?: string | number;
}

/** The JSON form of a CheckResponse. */
interface CheckResponse {
  status?: { code?: number };
  dynamicMetadata?: JsonObject;
  deniedResponse?: { status?: { code?: string | number }; headers?: HeaderOption[]; body?: string };
  okResponse?: {
    headers?: HeaderOption[];
    headersToRemove?: string[];
    dynamicMetadata?: JsonObject;
    responseHeadersToAdd?: HeaderOption[];
    queryParametersToSet?: { key?: string; value?: string }[];
    queryParametersToRemove?: string[];
  };
}

const forbidden = 403;

export function readVerdict(bytes: Uint8Array): Verdict {
  let response: CheckResponse;
  try {
    response = messageToJson('envoy.service.auth.v3.CheckResponse', bytes) as CheckResponse;
  } catch {
    return failed;
  }
  const { status, okResponse: ok = {}, deniedResponse: denied = {} } = response;
  const metadata = ok.dynamicMetadata ?? response.dynamicMetadata;
  if ((status?.code ?? 0) !== 0) {
    const code = enumNumber('envoy.type.v3.StatusCode', denied.status?.code) ?? forbidden;
    return {
      kind: 'denied',
      // Envoy would send what no client can read.
      status: isFinalStatus(code) ? code : forbidden,
      headers: (denied.headers ?? []).filter(({ append }) => append !== true).map(pairOf),
      body: latin1(denied.body),
      metadata,
    };
  }
  const headers = ok.headers ?? [];
  return {
    kind: 'ok',
    // Of the request only the old word for it counts.
    set: headers.filter(({ append }) => append !== true).map(pairOf),
    add: [],
    append: headers.filter(({ append }) => append === true).map(pairOf),
    remove: (ok.headersToRemove ?? []).map((name) => name.toLowerCase()),
    response: (ok.responseHeadersToAdd ?? []).map(changeOf),
    setParameters: (ok.queryParametersToSet ?? []).map(({ key, value }): HeaderPair => [latin1(key), latin1(value)]),
    removeParameters: (ok.queryParametersToRemove ?? []).map(latin1),
    metadata,
  };
}

const ACTIONS: Readonly<Record<string, ResponseChange['action']>> = {
  ADD_IF_ABSENT: 'add-if-absent',
  OVERWRITE_IF_EXISTS_OR_ADD: 'set',
  OVERWRITE_IF_EXISTS: 'set-if-present',
};

function changeOf(option: HeaderOption): ResponseChange {
  const [name, value] = pairOf(option);
  const { append, appendAction } = option;
  return { name, value, action: append === undefined ? (ACTIONS[String(appendAction)] ?? 'add') : append ? 'add' : 'set' };
}

function pairOf({ header }: HeaderOption): HeaderPair {
  return [latin1(header?.key).toLowerCase(), latin1(header?.value)];
}

/** Its bytes in UTF-8, as heads have them. */
function latin1(text = ''): string {
  return Buffer.from(text).toString('latin1');
}

// CEL expressions of Telemetry tags as Envoy's substitution format: its own words where it has some, else %CEL()%.

import { celProblem } from '../traffic/cel-names.ts';
import { isAtLeast } from './common.ts';

/** Where the substitution command CEL was seen to need no configuration. */
const WITH_CEL = [1, 40] as const;

const ATTRIBUTES: Readonly<Record<string, string>> = {
  'request.method': '%REQ(:METHOD)%',
  'request.host': '%REQ(:AUTHORITY)%',
  'request.path': '%REQ(:PATH)%',
  'request.url_path': '%PATH(NQ:PATH)%',
  'request.scheme': '%REQ(:SCHEME)%',
  'request.useragent': '%REQ(USER-AGENT)%',
  'request.referer': '%REQ(REFERER)%',
  'request.id': '%REQ(X-REQUEST-ID)%',
  'request.protocol': '%PROTOCOL%',
  'response.code': '%RESPONSE_CODE%',
  'response.code_details': '%RESPONSE_CODE_DETAILS%',
  'response.grpc_status': '%GRPC_STATUS_NUMBER%',
  'connection.requested_server_name': '%REQUESTED_SERVER_NAME%',
  'connection.uri_san_peer_certificate': '%DOWNSTREAM_PEER_URI_SAN%',
  'source.address': '%DOWNSTREAM_REMOTE_ADDRESS%',
  'source.port': '%DOWNSTREAM_REMOTE_PORT%',
  'destination.address': '%DOWNSTREAM_LOCAL_ADDRESS%',
  'destination.port': '%DOWNSTREAM_LOCAL_PORT%',
  'upstream.address': '%UPSTREAM_HOST%',
  'xds.cluster_name': '%UPSTREAM_CLUSTER_RAW%',
  'xds.route_name': '%ROUTE_NAME%',
};

/** The format that gives the expression's value; `unknown` where an Envoy of that version cannot. */
export function tagFormat(expression: string, version: string): string {
  // What is written is a text in any case, and Envoy has no string() here.
  const text = /^string\(([^()]*)\)$/.exec(expression.trim())?.[1]?.trim() ?? expression.trim();
  const literal = /^(?:'([^'\\]*)'|"([^"\\]*)")$/.exec(text);
  if (literal !== null) return (literal[1] ?? literal[2] ?? '').replaceAll('%', '%%');
  const header = /^(request|response)\.headers\[['"]([A-Za-z0-9-]+)['"]\]$/.exec(text);
  if (header !== null) return `%${header[1] === 'request' ? 'REQ' : 'RESP'}(${header[2]})%`;
  const words = ATTRIBUTES[text];
  if (words !== undefined) return words;
  // `)%` ends a command.
  return isAtLeast(version, WITH_CEL) && celProblem(text) === undefined && !/\bstring\(/.test(text) && !text.includes(')%') ? `%CEL(${text})%` : 'unknown';
}

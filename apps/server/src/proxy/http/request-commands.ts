// Commands of Envoy's formats that take a request's head apart: its query, and the host it asks for.

import type { HeaderValueSource } from './header-values.ts';

type Read = (source: HeaderValueSource) => string | undefined;

/** Undefined = not known here. */
export function requestCommand(command: string, argument: string | undefined): Read | undefined {
  switch (command) {
    case 'QUERY_PARAM':
      return argument ? (source) => parameterOf(queryOf(source), argument) : undefined;
    case 'QUERY_PARAMS':
      return argument === undefined || argument === '' || argument === 'ORIG' ? queryOf : undefined;
    case 'REQUESTED_SERVER_NAME':
      return serverName(argument);
    default:
      return undefined;
  }
}

/** Without its question mark; undefined where there is none, as there is no path in TCP. */
function queryOf(source: HeaderValueSource): string | undefined {
  const path = source.request(':path') ?? source.record.path;
  const mark = path.indexOf('?');
  return mark < 0 ? undefined : path.slice(mark + 1);
}

/** The first of the name, decoded; a plus sign is none for a space here. */
function parameterOf(query: string | undefined, name: string): string | undefined {
  for (const pair of query?.split('&') ?? []) {
    const equals = pair.indexOf('=');
    if (decode(equals < 0 ? pair : pair.slice(0, equals)) === name) return equals < 0 ? '' : decode(pair.slice(equals + 1));
  }
  return undefined;
}

/** To bytes, as which header values are kept. */
function decode(text: string): string {
  return text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const HOSTS: Readonly<Record<string, Read>> = {
  ORIG: (source) => source.request('x-envoy-original-host'),
  HOST: ({ record }) => record.authority || undefined,
  ORIG_OR_HOST: (source) => HOSTS['ORIG']?.(source) ?? HOSTS['HOST']?.(source),
};

/** `SNI_ONLY`, or which comes first, and where the host is taken from. */
function serverName(argument = 'SNI_ONLY'): Read | undefined {
  const [, order, from = 'ORIG_OR_HOST'] = /^(SNI_ONLY|SNI_FIRST|HOST_FIRST)(?::(ORIG|HOST|ORIG_OR_HOST))?$/.exec(argument) ?? [];
  const host = HOSTS[from];
  const sni: Read = ({ record }) => record.serverName || undefined;
  if (order === 'SNI_FIRST') return (source) => sni(source) ?? host?.(source);
  if (order === 'HOST_FIRST') return (source) => host?.(source) ?? sni(source);
  return order === undefined ? undefined : sni;
}

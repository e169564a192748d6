// External authorization, of requests and of connections. What is not understood is refused: a check that is left out would let in
// what it is there to keep out.

import type { Fraction } from '@weft/mesh-core/traffic';
import { headerValueProblem } from '../http/header-values.ts';
import { decodeHttpStatus, decodeStringMatch } from './decode-common.ts';
import { decodeRuntimeFraction } from './decode-fraction.ts';
import { decodeMetadataMatch } from './decode-metadata-match.ts';
import type {
  AuthorizationService,
  CheckContents,
  CheckedBody,
  ExtAuthz,
  GrpcAuthorizationService,
  HttpAuthorizationService,
  NetworkExtAuthz,
  RouteExtAuthz,
} from './ext-authz-model.ts';
import type { Fields } from './fields.ts';
import type { StringMatch } from './model.ts';

export const EXT_AUTHZ = 'envoy.extensions.filters.http.ext_authz.v3.ExtAuthz';
export const EXT_AUTHZ_PER_ROUTE = 'envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute';
export const NETWORK_EXT_AUTHZ = 'envoy.extensions.filters.network.ext_authz.v3.ExtAuthz';

const always: Fraction = { numerator: 100, of: 100 };

export function decodeExtAuthz(fields: Fields): ExtAuthz {
  const http = fields.object('httpService');
  const body = decodeBody(fields);
  const metadata = decodeEnabledMetadata(fields);
  const deny = fields.object('denyAtDisable');
  const check = decodeCheck(fields, http);
  const config: ExtAuthz = {
    service: decodeService(fields, http),
    statPrefix: fields.text('statPrefix'),
    failureModeAllow: fields.flag('failureModeAllow'),
    tellsFailureMode: fields.flag('failureModeAllowHeaderAdd'),
    ...(body === undefined ? {} : { body }),
    clearRouteCache: fields.flag('clearRouteCache'),
    statusOnError: decodeHttpStatus(fields.object('statusOnError'), 403),
    enabled: decodeRuntimeFraction(fields.object('filterEnabled'), always),
    ...(metadata === undefined ? {} : { enabledMetadata: metadata }),
    denyAtDisable: deny?.flag('defaultValue') ?? false,
    check,
    takesMetadata: fields.flag('enableDynamicMetadataIngestion', true),
  };
  deny?.ignore('runtimeKey');
  deny?.end();
  decodeVersion(fields);
  // What cannot be sent is refused in any case; responses are not counted by status here.
  fields.ignore('validateMutations', 'chargeClusterResponseStats');
  fields.end();
  return config;
}

export function decodeNetworkExtAuthz(fields: Fields): NetworkExtAuthz {
  const metadata = decodeEnabledMetadata(fields);
  const config: NetworkExtAuthz = {
    statPrefix: fields.text('statPrefix'),
    service: decodeGrpc(fields, fields.object('grpcService')),
    failureModeAllow: fields.flag('failureModeAllow'),
    ...(metadata === undefined ? {} : { enabledMetadata: metadata }),
    tlsSession: fields.flag('includeTlsSession'),
  };
  decodeVersion(fields);
  fields.end();
  return config;
}

/** `before` is what the levels above say: what is to be told the service adds up. Undefined = the filter is off. */
export function decodeRouteExtAuthz(fields: Fields, before: RouteExtAuthz | undefined): RouteExtAuthz | undefined {
  const off = fields.flag('disabled');
  const settings = fields.object('checkSettings');
  const body = settings === undefined ? undefined : decodeBody(settings);
  const route: RouteExtAuthz = {
    contextExtensions: { ...before?.contextExtensions, ...(settings?.raw('contextExtensions') as Record<string, string> | undefined) },
    ...(settings?.flag('disableRequestBodyBuffering') === true ? { body: 'off' } : body === undefined ? {} : { body }),
  };
  if (!off && settings === undefined) fields.problem('override', 'says nothing this proxy knows');
  settings?.end();
  fields.end();
  return off ? undefined : route;
}

/** Envoy has no other left. */
function decodeVersion(fields: Fields): void {
  const version = fields.text('transportApiVersion', 'AUTO');
  if (version !== 'V3') fields.problem('transportApiVersion', `the service is asked by V3 only, not ${version}`);
}

function decodeEnabledMetadata(fields: Fields): ExtAuthz['enabledMetadata'] {
  const match = fields.object('filterEnabledMetadata');
  return match === undefined ? undefined : decodeMetadataMatch(match);
}

function decodeBody(fields: Fields): CheckedBody | undefined {
  const body = fields.object('withRequestBody');
  if (body === undefined) return undefined;
  const settings = { maxBytes: body.number('maxRequestBytes'), allowPartial: body.flag('allowPartialMessage'), asBytes: body.flag('packAsBytes') };
  if (settings.maxBytes === 0) body.problem('maxRequestBytes', 'must be more than 0');
  body.end();
  return settings;
}

function decodeMatchers(fields: Fields | undefined, key: string): readonly StringMatch[] | undefined {
  const list = fields?.object(key);
  const matches = list?.list('patterns').map((pattern) => decodeStringMatch(pattern));
  list?.end();
  return matches;
}

/** Of a service over HTTP the headers it may see were once said with its request. */
function decodeCheck(fields: Fields, http: Fields | undefined): CheckContents {
  const old = decodeMatchers(http?.object('authorizationRequest'), 'allowedHeaders');
  const allowed = decodeMatchers(fields, 'allowedHeaders') ?? (http === undefined ? undefined : (old ?? []));
  return {
    ...(allowed === undefined ? {} : { allowedHeaders: allowed }),
    disallowedHeaders: decodeMatchers(fields, 'disallowedHeaders') ?? [],
    rawHeaders: fields.flag('encodeRawHeaders'),
    tlsSession: fields.flag('includeTlsSession'),
    metadataNamespaces: fields.texts('metadataContextNamespaces'),
    routeMetadataNamespaces: fields.texts('routeMetadataContextNamespaces'),
  };
}

function decodeService(fields: Fields, http: Fields | undefined): AuthorizationService {
  return http === undefined ? decodeGrpc(fields, fields.object('grpcService')) : decodeHttp(http);
}

function decodeGrpc(parent: Fields, fields: Fields | undefined): GrpcAuthorizationService {
  const envoy = fields?.object('envoyGrpc');
  const cluster = envoy?.text('clusterName') ?? '';
  if (cluster === '') (fields ?? parent).problem(fields === undefined ? 'grpcService' : 'envoyGrpc', 'a service this proxy knows is needed');
  const service: GrpcAuthorizationService = {
    kind: 'grpc',
    cluster,
    authority: envoy?.text('authority') || cluster,
    timeoutMs: fields?.ms('timeout') ?? 0,
    metadata: fields === undefined ? [] : decodeHeaderValues(fields, 'initialMetadata', false),
  };
  envoy?.end();
  fields?.end();
  return service;
}

function decodeHttp(fields: Fields): HttpAuthorizationService {
  const uri = fields.object('serverUri');
  const request = fields.object('authorizationRequest');
  const response = fields.object('authorizationResponse');
  const service: HttpAuthorizationService = {
    kind: 'http',
    cluster: uri?.text('cluster') ?? '',
    timeoutMs: uri?.ms('timeout') ?? 0,
    pathPrefix: fields.text('pathPrefix'),
    headersToAdd: request === undefined ? [] : decodeHeaderValues(request, 'headersToAdd', true),
    upstreamHeaders: decodeMatchers(response, 'allowedUpstreamHeaders') ?? [],
    upstreamHeadersToAppend: decodeMatchers(response, 'allowedUpstreamHeadersToAppend') ?? [],
    clientHeadersOnSuccess: decodeMatchers(response, 'allowedClientHeadersOnSuccess') ?? [],
    clientHeaders: decodeMatchers(response, 'allowedClientHeaders') ?? [],
    metadataHeaders: decodeMatchers(response, 'dynamicMetadataFromHeaders') ?? [],
  };
  if (service.cluster === '') fields.problem('serverUri', 'the cluster of the service is needed');
  if (service.pathPrefix !== '' && !service.pathPrefix.startsWith('/')) fields.problem('pathPrefix', 'must begin with /');
  // Who is asked is the cluster's to say.
  uri?.ignore('uri');
  uri?.end();
  request?.ignore('allowedHeaders');
  request?.end();
  response?.end();
  fields.end();
  return service;
}

/** A list of HeaderValue. */
function decodeHeaderValues(fields: Fields, key: string, commands: boolean): { name: string; value: string }[] {
  return fields.list(key).map((header) => {
    const name = header.text('key').toLowerCase();
    const raw = header.text('rawValue');
    const value = raw === '' ? header.text('value') : Buffer.from(raw, 'base64').toString('latin1');
    const problem = headerValueProblem(value) ?? (!commands && value.includes('%') ? 'commands are not supported here' : undefined);
    if (problem !== undefined) header.problem('value', problem);
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) header.problem('key', `"${name}" is no name of a header`);
    header.end();
    return { name, value };
  });
}

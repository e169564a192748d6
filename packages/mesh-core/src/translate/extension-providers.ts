// Extension providers of MeshConfig as what Envoy's ext_authz filters ask: their service's cluster, and what goes to and fro.

import type { JsonObject } from '@bufbuild/protobuf';
import { durationMs, providerErrors } from '../config/index.ts';
import type { CheckedBody, GrpcCheck, HttpCheck } from '../model/index.ts';
import { clusterName, seconds, without } from './common.ts';
import { fact } from './memo.ts';
import type { Mesh } from './mesh.ts';

/** Fields of the filters. */
export interface Provider {
  http: JsonObject;
  /** Only gRPC is asked about connections. */
  tcp: JsonObject | undefined;
}

/** Istio's default. */
const TIMEOUT_MS = 600_000;

/** Undefined where it cannot be asked: it is not there, not what it should be, or its service is unknown. */
export function providerOf(mesh: Mesh, name: string): Provider | undefined {
  const provider = mesh.settings.extensionProviders?.find((p) => p.name === name);
  if (provider === undefined || providerErrors(provider).length > 0) return undefined;
  const { envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc } = provider;
  const host = hostOf(mesh, (http ?? grpc)?.service ?? '');
  if (host === undefined) return undefined;
  if (http !== undefined) return { http: { ...common(http), httpService: httpService(http, host), ...allowedHeaders(http) }, tcp: undefined };
  return grpc === undefined ? undefined : overGrpc(grpc, host);
}

/** The host of `namespace/host` or `host`, where the mesh has exactly one service of that name. Short names are not completed. */
function hostOf(mesh: Mesh, service: string): string | undefined {
  const [namespace, host = service] = service.includes('/') ? service.split('/') : [undefined];
  return fact(mesh, `provider|${service}`, (m) => {
    const homes = new Set((m.services.get(host) ?? []).map((s) => s.namespace));
    return (namespace === undefined ? homes.size === 1 : homes.has(namespace)) ? host : undefined;
  });
}

/** Of every filter for requests. */
function common(check: HttpCheck | GrpcCheck): JsonObject {
  return without({
    statusOnError: check.statusOnError ? { code: Number(check.statusOnError) } : undefined,
    ...failOpen(check),
    clearRouteCache: check.clearRouteCache === true ? true : undefined,
    transportApiVersion: 'V3',
    withRequestBody: check.includeRequestBodyInCheck === undefined ? undefined : requestBody(check.includeRequestBodyInCheck),
  });
}

function failOpen({ failOpen: open }: GrpcCheck): JsonObject {
  return open === true ? { failureModeAllow: true } : {};
}

function timeoutOf({ timeout }: GrpcCheck): string {
  return seconds(timeout === undefined ? TIMEOUT_MS : (durationMs(timeout) ?? TIMEOUT_MS));
}

function requestBody({ maxRequestBytes = 0, allowPartialMessage = false, packAsBytes = false }: CheckedBody): JsonObject {
  return { maxRequestBytes, allowPartialMessage, packAsBytes };
}

function overGrpc(check: GrpcCheck, host: string): Provider {
  const grpcService = { envoyGrpc: { clusterName: clusterName(host, check.port), authority: host }, timeout: timeoutOf(check) };
  return { http: { ...common(check), grpcService }, tcp: { statPrefix: 'tcp.', ...failOpen(check), transportApiVersion: 'V3', grpcService } };
}

function httpService(check: HttpCheck, host: string): JsonObject {
  const { includeAdditionalHeadersInCheck: added = {} } = check;
  const headersToAdd = Object.entries(added)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ key, value }));
  const answer = without({
    allowedUpstreamHeaders: headerNames(check.headersToUpstreamOnAllow),
    allowedClientHeaders: headerNames(check.headersToDownstreamOnDeny),
    allowedClientHeadersOnSuccess: headerNames(check.headersToDownstreamOnAllow),
  });
  return without({
    serverUri: { uri: `http://${host}`, cluster: clusterName(host, check.port), timeout: timeoutOf(check) },
    pathPrefix: check.pathPrefix || undefined,
    authorizationRequest: headersToAdd.length === 0 ? undefined : { headersToAdd },
    authorizationResponse: Object.keys(answer).length === 0 ? undefined : answer,
  });
}

function allowedHeaders({ includeRequestHeadersInCheck: now, includeHeadersInCheck: before }: HttpCheck): JsonObject {
  return without({ allowedHeaders: headerNames(now) ?? headerNames(before) });
}

function headerNames(list: readonly string[] = []): JsonObject | undefined {
  if (list.length === 0) return undefined;
  const pattern = (name: string): JsonObject =>
    name.startsWith('*') ? { suffix: name.slice(1) } : name.endsWith('*') ? { prefix: name.slice(0, -1) } : { exact: name };
  return { patterns: list.map((name) => ({ ...pattern(name), ignoreCase: true })) };
}

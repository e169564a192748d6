import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { decodeExtAuthz, decodeNetworkExtAuthz, decodeRouteExtAuthz } from './decode-ext-authz.ts';
import { decodeRouteFilters } from './decode-route-filters.ts';
import type { ExtAuthz } from './ext-authz-model.ts';
import { Fields } from './fields.ts';

const uri = { serverUri: { uri: 'http://a.test', cluster: 'authz', timeout: '10s' } };
const grpcService = { envoyGrpc: { clusterName: 'authz', authority: 'a.test' }, timeout: '0.002s' };
const version = { transportApiVersion: 'V3' };

function decode(json: JsonObject): { config: ExtAuthz; problems: string[] } {
  const problems: string[] = [];
  return { config: decodeExtAuthz(new Fields({ ...version, ...json }, 'f', problems)), problems };
}
const ofHttp = (service: JsonObject, more: JsonObject = {}): string[] => decode({ httpService: { ...uri, ...service }, ...more }).problems;

test('as Istio configures a provider over HTTP', () => {
  const match = (kind: 'exact' | 'prefix', value: string): JsonObject => ({ patterns: [{ [kind]: value, ignoreCase: true }] });
  const { config, problems } = decode({
    httpService: {
      ...uri,
      pathPrefix: '/check',
      authorizationRequest: { headersToAdd: [{ key: 'X-One', value: '1' }] },
      authorizationResponse: {
        allowedUpstreamHeaders: match('exact', 'Authorization'),
        allowedClientHeaders: match('prefix', 'x-'),
        allowedClientHeadersOnSuccess: match('exact', 'Set-Cookie'),
      },
    },
    allowedHeaders: match('exact', 'x-id'),
    failureModeAllow: true,
    statusOnError: { code: 'ServiceUnavailable' },
    withRequestBody: { maxRequestBytes: 2048, allowPartialMessage: true, packAsBytes: true },
    filterEnabledMetadata: { filter: 'envoy.filters.http.rbac', path: [{ key: 'k' }], value: { stringMatch: { prefix: 'istio-ext-authz' } } },
  });
  expect(problems).toEqual([]);
  const exactly = (kind: string, value: string): object => ({ kind, value, ignoreCase: true });
  expect(config).toEqual({
    service: {
      ...{ kind: 'http', cluster: 'authz', timeoutMs: 10_000, pathPrefix: '/check', headersToAdd: [{ name: 'x-one', value: '1' }] },
      ...{ upstreamHeaders: [exactly('exact', 'Authorization')], upstreamHeadersToAppend: [], metadataHeaders: [] },
      ...{ clientHeaders: [exactly('prefix', 'x-')], clientHeadersOnSuccess: [exactly('exact', 'Set-Cookie')] },
    },
    ...{
      statPrefix: '',
      failureModeAllow: true,
      tellsFailureMode: false,
      clearRouteCache: false,
      statusOnError: 503,
      denyAtDisable: false,
      takesMetadata: true,
    },
    body: { maxBytes: 2048, allowPartial: true, asBytes: true },
    enabled: { numerator: 100, of: 100 },
    enabledMetadata: { namespace: 'envoy.filters.http.rbac', path: ['k'], value: expect.anything() as object, invert: false },
    check: {
      ...{ allowedHeaders: [exactly('exact', 'x-id')], disallowedHeaders: [], rawHeaders: false, tlsSession: false },
      ...{ metadataNamespaces: [], routeMetadataNamespaces: [] },
    },
  });
});

test('over gRPC, of requests and of connections', () => {
  const service = { kind: 'grpc', cluster: 'authz', authority: 'a.test', timeoutMs: 2, metadata: [] };
  const { config, problems } = decode({ grpcService, statusOnError: { code: 299 } });
  expect({ service: config.service, allowed: config.check.allowedHeaders, status: config.statusOnError, problems }).toEqual({
    ...{ service, allowed: undefined, status: 299, problems: [] },
  });
  const network = decodeNetworkExtAuthz(
    new Fields({ ...version, grpcService, statPrefix: 'tcp.', failureModeAllow: true, includeTlsSession: true }, 'n', problems),
  );
  expect(problems).toEqual([]);
  expect(network).toEqual({ statPrefix: 'tcp.', service, failureModeAllow: true, tlsSession: true });
});

test('a status nobody could read is not taken', () => {
  expect([100, 'Continue', 42, 600].map((code) => decode({ grpcService, statusOnError: { code } }).config.statusOnError)).toEqual([403, 403, 403, 403]);
});

test('what cannot be done is refused with its path', () => {
  expect(decode({}).problems).toEqual(['f.grpcService: a service this proxy knows is needed']);
  expect(decode({ grpcService: { googleGrpc: {} } }).problems).toEqual([
    'f.grpcService.envoyGrpc: a service this proxy knows is needed',
    'f.grpcService.googleGrpc: this proxy cannot do it',
  ]);
  expect(decode({ grpcService: { ...grpcService, retryPolicy: {}, initialMetadata: [{ key: 'a', value: '%REQ(b)%' }] } }).problems).toEqual([
    ...['f.grpcService.initialMetadata[0].value: commands are not supported here', 'f.grpcService.retryPolicy: this proxy cannot do it'],
  ]);
  expect(decode({ grpcService, transportApiVersion: 'AUTO' }).problems).toEqual(['f.transportApiVersion: the service is asked by V3 only, not AUTO']);
  const more = { includePeerCertificate: true, bootstrapMetadataLabelsKey: 'k', decoderHeaderMutationRules: {}, typedMetadataContextNamespaces: ['a'] };
  expect(decode({ grpcService, ...more }).problems).toEqual(Object.keys(more).map((key) => `f.${key}: this proxy cannot do it`));
  expect(ofHttp({ pathPrefix: 'check' })).toEqual(['f.httpService.pathPrefix: must begin with /']);
  expect(ofHttp({ serverUri: {} })).toEqual(['f.httpService.serverUri: the cluster of the service is needed']);
  expect(
    ofHttp({
      authorizationRequest: {
        headersToAdd: [
          { key: 'a b', value: 'x\r\ny' },
          { key: 'c', value: '%NO%' },
        ],
      },
    }),
  ).toEqual([
    'f.httpService.authorizationRequest.headersToAdd[0].value: a header value has no line breaks',
    'f.httpService.authorizationRequest.headersToAdd[0].key: "a b" is no name of a header',
    expect.stringContaining('headersToAdd[1].value: '),
  ]);
  expect(ofHttp({}, { withRequestBody: {} })).toEqual(['f.withRequestBody.maxRequestBytes: must be more than 0']);
});

test('headers a service over HTTP may see can still be listed with its request', () => {
  const list = (exact: string): JsonObject => ({ patterns: [{ exact }] });
  const seen = (more: JsonObject): unknown =>
    decode({ httpService: { ...uri, authorizationRequest: { allowedHeaders: list('old') } }, ...more }).config.check.allowedHeaders;
  expect([seen({}), seen({ allowedHeaders: list('new') })]).toMatchObject([[{ value: 'old' }], [{ value: 'new' }]]);
});

test('routes: what is told the service adds up, and the most specific word counts for the rest', () => {
  const problems: string[] = [];
  const type = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute' };
  const wrapper = { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig' };
  const filters = (config: JsonObject, before = {}): ReturnType<typeof decodeRouteFilters> =>
    decodeRouteFilters(new Fields({ typedPerFilterConfig: { 'envoy.filters.http.ext_authz': config } }, 'r', problems), before);
  const host = filters({ ...type, checkSettings: { contextExtensions: { a: '1', b: '1' }, withRequestBody: { maxRequestBytes: 1 } } });
  const said = (config: JsonObject): unknown => filters(config, host).extAuthz?.['envoy.filters.http.ext_authz'];
  expect(said({ ...type, checkSettings: { contextExtensions: { b: '2' }, disableRequestBodyBuffering: true } })).toEqual({
    contextExtensions: { a: '1', b: '2' },
    body: 'off',
  });
  expect([said({ ...type, disabled: true }), said({ ...wrapper, disabled: true })]).toEqual(['off', 'off']);
  expect(problems).toEqual([]);
  expect(decodeRouteExtAuthz(new Fields({}, 'r', problems), undefined)).toEqual({ contextExtensions: {} });
  said({ ...wrapper });
  expect(problems).toEqual(['r.override: says nothing this proxy knows', expect.stringContaining('is no configuration of this filter')]);
});

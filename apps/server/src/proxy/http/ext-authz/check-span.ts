// A check as the span Envoy makes of it: a child of the request's own, where that is recorded.

import type { AuthorizationService } from '../../config/ext-authz-model.ts';
import type { CallSpan } from '../hooks.ts';
import { nodeHttp } from '../../transport/node-http.ts';
import type { OwnAnswer } from '../own-request.ts';
import { grpcStatusOfAnswer } from './grpc-service.ts';
import type { Verdict } from './verdict.ts';

type Told = Pick<CallSpan, 'name' | 'attributes' | 'failed'>;

export function checkSpan(service: AuthorizationService, answer: OwnAnswer, verdict: Verdict): Told {
  const { cluster } = service;
  const word = verdict.kind === 'ok' ? 'ext_authz_ok' : 'ext_authz_unauthorized';
  if (service.kind === 'grpc') {
    const failed = verdict.kind === 'error';
    const attributes = { component: 'proxy', upstream_cluster: cluster, upstream_address: service.authority, 'grpc.status_code': grpcStatusOfAnswer(answer) };
    const name = 'async envoy.service.auth.v3.Authorization.Check egress';
    return { name, failed, attributes: { ...attributes, ...(failed ? { error: true } : { ext_authz_status: word }) } };
  }
  const { status, flags, address } = answer;
  return {
    name: `async ${cluster} egress`,
    failed: status >= 400,
    attributes: {
      ...{ component: 'proxy', upstream_cluster: cluster, 'upstream_cluster.name': cluster, 'http.protocol': 'HTTP/1.1' },
      ...(address === '' ? {} : { upstream_address: address, 'peer.address': address }),
      ...{ 'http.status_code': status, response_flags: flags, ext_authz_http_status: nodeHttp().STATUS_CODES[status] ?? '', ext_authz_status: word },
      ...(status >= 500 ? { error: true } : {}),
    },
  };
}

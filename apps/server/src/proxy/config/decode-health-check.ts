// HealthCheck of a cluster, with Envoy's defaults.

import type { HealthCheckRules } from '@weft/mesh-core/traffic';
import type { Fields } from './fields.ts';
import type { HealthCheckConfig, HealthProbe } from './model.ts';

export function decodeHealthCheck(fields: Fields): HealthCheckConfig {
  const config = { rules: decodeRules(fields), altPort: fields.number('altPort'), probe: decodeProbe(fields) };
  // Every check makes a connection of its own; nothing is logged per check.
  fields.ignore('reuseConnection', 'eventLogPath', 'eventLogger', 'eventService', 'alwaysLogHealthCheckFailures', 'alwaysLogHealthCheckSuccess');
  fields.end();
  return config;
}

function decodeRules(fields: Fields): HealthCheckRules {
  const intervalMs = fields.ms('interval');
  const noTrafficIntervalMs = fields.ms('noTrafficInterval', 60_000);
  const unhealthyIntervalMs = fields.ms('unhealthyInterval', intervalMs);
  return {
    timeoutMs: fields.ms('timeout'),
    intervalMs,
    initialJitterMs: fields.ms('initialJitter'),
    intervalJitterMs: fields.ms('intervalJitter'),
    intervalJitterPercent: fields.number('intervalJitterPercent'),
    unhealthyThreshold: fields.number('unhealthyThreshold', 1),
    healthyThreshold: fields.number('healthyThreshold', 1),
    noTrafficIntervalMs,
    noTrafficHealthyIntervalMs: fields.ms('noTrafficHealthyInterval', noTrafficIntervalMs),
    unhealthyIntervalMs,
    unhealthyEdgeIntervalMs: fields.ms('unhealthyEdgeInterval', unhealthyIntervalMs),
    healthyEdgeIntervalMs: fields.ms('healthyEdgeInterval', intervalMs),
  };
}

function decodeProbe(fields: Fields): HealthProbe {
  const http = fields.object('httpHealthCheck');
  if (http !== undefined) return decodeHttp(http);
  const grpc = fields.object('grpcHealthCheck');
  if (grpc !== undefined) {
    const probe: HealthProbe = { kind: 'grpc', service: grpc.text('serviceName'), authority: grpc.text('authority') };
    grpc.end();
    return probe;
  }
  const tcp = fields.object('tcpHealthCheck');
  if (tcp === undefined) fields.problem('healthChecker', 'only http_health_check, tcp_health_check and grpc_health_check are supported');
  const send = tcp?.object('send');
  const probe: HealthProbe = { kind: 'tcp', send: payload(send), receive: tcp?.list('receive').map(payload) ?? [] };
  tcp?.end();
  return probe;
}

function payload(fields: Fields | undefined): Uint8Array {
  const hex = fields?.text('text') ?? '';
  const binary = fields?.text('binary') ?? '';
  fields?.end();
  return hex === '' ? Buffer.from(binary, 'base64') : Buffer.from(hex, 'hex');
}

function decodeHttp(http: Fields): HealthProbe {
  const ranges = (key: string): { start: number; end: number }[] =>
    http.list(key).map((range) => {
      const found = { start: range.number('start'), end: range.number('end') };
      range.end();
      return found;
    });
  const expected = ranges('expectedStatuses');
  const headers = http.list('requestHeadersToAdd').map((option) => {
    const header = option.object('header');
    const found = { name: (header?.text('key') ?? '').toLowerCase(), value: header?.text('value') ?? '' };
    header?.end();
    option.ignore('appendAction', 'append', 'keepEmptyValue');
    option.end();
    return found;
  });
  const probe: HealthProbe = {
    kind: 'http',
    host: http.text('host'),
    path: http.text('path'),
    method: http.text('method', 'GET').replace('METHOD_UNSPECIFIED', 'GET'),
    headers,
    expected: expected.length === 0 ? [{ start: 200, end: 201 }] : expected,
    retriable: ranges('retriableStatuses'),
    http2: http.text('codecClientType') === 'HTTP2',
  };
  http.end();
  return probe;
}

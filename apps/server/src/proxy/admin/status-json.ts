// /clusters, /listeners and /certs in the shapes of envoy.admin.v3, field names as in the protos.

import { X509Certificate } from 'node:crypto';
import type { JsonObject } from '@weft/mesh-core/wire';
import { TYPE_URL } from '@weft/mesh-core/xds-types';
import { decodeSecret } from '../config/decode.ts';
import { withoutPort } from '../http/address-commands.ts';
import type { EndpointStats, RuntimeStats } from '../http/hooks.ts';
import { addressOf } from '../upstream/endpoint.ts';
import { isSocketPath } from '../upstream/host-and-port.ts';
import type { Configuration } from '../xds-client/configuration.ts';

const DAY_MS = 86_400_000;

export function clusterStatuses({ clusters }: RuntimeStats): JsonObject {
  return {
    cluster_statuses: clusters.map((c) => ({
      name: c.name,
      added_via_api: true,
      host_statuses: c.endpoints.map(hostStatus),
      circuit_breakers: {
        thresholds: [
          {
            max_connections: c.breaker.limits.maxConnections,
            max_pending_requests: c.breaker.limits.maxPendingRequests,
            max_requests: c.breaker.limits.maxRequests,
            max_retries: c.breaker.limits.maxRetries,
          },
        ],
      },
      observability_name: c.name,
      ...(c.discovered ? { eds_service_name: c.name } : {}),
    })),
  };
}

function hostStatus(e: EndpointStats): JsonObject {
  // As protobuf JSON: 64-bit numbers are text, and a value of zero is left out.
  const stat = (name: string, value: number, type?: 'GAUGE'): JsonObject => ({
    ...(type === undefined ? {} : { type }),
    name,
    ...(value === 0 ? {} : { value: String(value) }),
  });
  const { region, zone, subZone } = e.locality;
  return {
    address: socketAddress(e.address),
    stats: [
      stat('cx_connect_fail', e.connectFailures),
      stat('cx_total', e.totalConnections),
      stat('rq_error', e.errors),
      stat('rq_success', e.success),
      stat('rq_total', e.totalRequests),
      stat('cx_active', e.activeConnections, 'GAUGE'),
      stat('rq_active', e.activeRequests, 'GAUGE'),
    ],
    health_status: {
      ...(e.checked?.failed === true ? { failed_active_health_check: true } : {}),
      ...(e.checked?.degraded === true ? { failed_active_degraded_check: true } : {}),
      ...(e.ejected ? { failed_outlier_check: true } : {}),
      eds_health_status: e.health === 'unknown' ? 'HEALTHY' : e.health.toUpperCase(),
    },
    weight: e.weight,
    ...(e.priority === 0 ? {} : { priority: e.priority }),
    locality: {
      ...(region === '' ? {} : { region }),
      ...(zone === '' ? {} : { zone }),
      ...(subZone === '' ? {} : { sub_zone: subZone }),
    },
    ...(e.hostname === '' ? {} : { hostname: e.hostname }),
  };
}

export function listenerStatuses({ listeners }: RuntimeStats): JsonObject {
  return { listener_statuses: listeners.map((l) => ({ name: l.name, local_address: socketAddress(addressOf(l)) })) };
}

function socketAddress(address: string): JsonObject {
  if (isSocketPath(address)) return { pipe: { path: address } };
  const colon = address.lastIndexOf(':');
  return { socket_address: { address: withoutPort(address), port_value: Number(address.slice(colon + 1)) } };
}

/** Certificates in use, those of trust and its own; never keys. */
export function certificates(configuration: Configuration, nowMs: number): JsonObject {
  const secrets = configuration.raw(TYPE_URL.secret).map(({ name, body }) => decodeSecret(body, name));
  const details = (pem: string): JsonObject[] => splitPem(pem).map((one) => certificate(new X509Certificate(one), nowMs));
  return {
    certificates: secrets.map((secret) =>
      secret.kind === 'certificate' ? { ca_cert: [], cert_chain: details(secret.chainPem) } : { ca_cert: details(secret.caPem), cert_chain: [] },
    ),
  };
}

function certificate(x509: X509Certificate, nowMs: number): JsonObject {
  const names = x509.subjectAltName?.split(', ') ?? [];
  const until = new Date(x509.validTo);
  return {
    path: '<inline>',
    serial_number: x509.serialNumber.toLowerCase(),
    subject_alt_names: names.flatMap((name): JsonObject[] =>
      name.startsWith('URI:') ? [{ uri: name.slice(4) }] : name.startsWith('DNS:') ? [{ dns: name.slice(4) }] : [],
    ),
    days_until_expiration: String(Math.max(0, Math.floor((until.getTime() - nowMs) / DAY_MS))),
    valid_from: new Date(x509.validFrom).toISOString(),
    expiration_time: until.toISOString(),
  };
}

function splitPem(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

// The admin interface: Envoy's paths, and what each gives in its shape.

import { type Case, admin, http, service } from '../case.ts';
import { policy } from './parts.ts';
import { type Expected, allOf, holds, oneOf } from '../harness/match.ts';

const area = 'admin';
const JSON_TYPE = 'application/json';
const TEXT = /^text\/plain/;
const page = (path: string, ...paths: string[]): ReturnType<typeof admin> => admin('client', path, { status: 200, type: JSON_TYPE, paths: holds(...paths) });
const text = (path: string, body: Expected): ReturnType<typeof admin> => admin('client', path, { status: 200, type: TEXT, body });

export const ADMIN: readonly Case[] = [
  {
    area,
    name: 'pages of text: /ready, /stats, /clusters, /listeners, /stats/prometheus, /help',
    random: true,
    services: [service('admin-text')],
    steps: [
      http({ expect: { status: 200 } }),
      text('/ready', 'LIVE\n'),
      text('/stats', /^cluster\.outbound\|80\|\|admin-text\.<ns>\.svc\.cluster\.local;?\.upstream_rq_total: [1-9]\d*$/m),
      text(
        '/stats',
        allOf(
          ...[
            'cluster_manager\\.active_clusters: [1-9]\\d*',
            'cluster_manager\\.cds\\.update_success: [1-9]\\d*',
            'cluster_manager\\.cds\\.update_rejected: 0',
            'listener_manager\\.lds\\.update_success: [1-9]\\d*',
            'listener_manager\\.total_listeners_active: [1-9]\\d*',
            'listener_manager\\.workers_started: 1',
            'server\\.live: 1',
            'server\\.state: 0',
            'server\\.memory_allocated: [1-9]\\d*',
            'server\\.days_until_first_cert_expiring: 0',
          ].map((line) => new RegExp(`^${line}$`, 'm')),
        ),
      ),
      text(
        '/stats?filter=admin-text',
        allOf(
          ...['upstream_rq_2xx: 1', 'upstream_rq_completed: 1', 'membership_degraded: 0'].map(
            (line) => new RegExp(`^cluster\\.outbound\\|80\\|\\|admin-text\\.<ns>\\.svc\\.cluster\\.local;?\\.${line}$`, 'm'),
          ),
        ),
      ),
      text('/stats?filter=upstream_rq_total', /^(cluster\.[^\n]+\.upstream_rq_total: \d+\n)+$/),
      text('/stats?usedonly', /upstream_cx_total: [1-9]\d*$/m),
      text('/clusters', /^outbound\|80\|\|admin-text\.<ns>\.svc\.cluster\.local::<local>::rq_total::[1-9]/m),
      text('/clusters', /::<local>::health_flags::healthy$/m),
      text('/listeners', /^admin-text\.<ns>\.svc\.cluster\.local_80::<local>$/m),
      text('/help', /^ {2}\/ready: /m),
    ],
  },
  {
    area,
    name: 'pages of JSON: /server_info, /clusters, /listeners, /certs, /stats, /memory, /runtime, /config_dump',
    random: true,
    services: [service('admin-json')],
    steps: [
      http({ expect: { status: 200 } }),
      page('/server_info', 'version', 'state', 'hot_restart_version', 'uptime_current_epoch', 'uptime_all_epochs', 'node', 'node.id', 'node.cluster'),
      page(
        '/clusters?format=json',
        ...['', '.name', '.added_via_api', '.observability_name', '.host_statuses', '.host_statuses.address.socket_address.address'].map(
          (path) => `cluster_statuses${path}`,
        ),
        ...['address.socket_address.port_value', 'stats.name', 'stats.type', 'stats.value', 'health_status.eds_health_status', 'weight', 'locality'].map(
          (path) => `cluster_statuses.host_statuses.${path}`,
        ),
      ),
      page('/listeners?format=json', 'listener_statuses.name', 'listener_statuses.local_address.socket_address.port_value'),
      page(
        '/certs',
        ...['path', 'serial_number', 'days_until_expiration', 'valid_from', 'expiration_time'].flatMap((path) => [
          `certificates.ca_cert.${path}`,
          `certificates.cert_chain.${path}`,
        ]),
        'certificates.cert_chain.subject_alt_names.uri',
      ),
      page('/stats?format=json', 'stats.name', 'stats.value'),
      page('/memory', 'allocated', 'heap_size', 'total_physical_bytes'),
      page('/runtime', 'entries', 'layers'),
      page(
        '/config_dump?include_eds',
        ...['', '.@type', '.dynamic_active_clusters.version_info', '.dynamic_active_clusters.cluster.name'].map((path) => `configs${path}`),
        ...['name', 'active_state.version_info', 'active_state.listener.name'].map((path) => `configs.dynamic_listeners.${path}`),
        ...['version_info', 'route_config.virtual_hosts'].map((path) => `configs.dynamic_route_configs.${path}`),
        'configs.dynamic_endpoint_configs.endpoint_config.cluster_name',
        'configs.dynamic_active_secrets.name',
      ),
      page('/config_dump?resource=dynamic_listeners', 'configs.@type', 'configs.name', 'configs.active_state.listener.name'),
      page('/config_dump?resource=dynamic_active_clusters&mask=cluster.name', 'configs.cluster.name'),
    ],
  },
  {
    area,
    name: 'circuit breaking, as one looks at it: limits, what is left, what was refused and what had to wait',
    random: true,
    services: [service('admin-breaker', { app: 'a', direct: true })],
    objects: policy('admin-breaker', '{ connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } } }'),
    steps: [
      http({ do: { hold: true }, background: true, expect: { status: 200 } }),
      http({ times: 6, parallel: 6, background: 5, expect: { statuses: { 200: 1, 503: 5 } } }),
      // Each page once: of hundreds of clusters it is long in the making, and the held request has only so much patience.
      text(
        '/stats?filter=admin-breaker',
        allOf(
          ...[
            'circuit_breakers\\.default\\.rq_pending_open: 1',
            'circuit_breakers\\.default\\.cx_open: 1',
            'circuit_breakers\\.default\\.remaining_pending: 0',
            'circuit_breakers\\.default\\.remaining_cx: 0',
            'upstream_rq_pending_active: 1',
            'upstream_rq_pending_overflow: 5',
            'upstream_rq_pending_total: 2',
            'upstream_rq_5xx: 5',
            'upstream_rq_completed: 5',
            'upstream_cx_overflow: [1-9]\\d*',
          ].map((line) => new RegExp(`^cluster\\.outbound\\|80\\|\\|admin-breaker\\.<ns>\\.svc\\.cluster\\.local;?\\.${line}$`, 'm')),
        ),
      ),
      text(
        '/clusters',
        allOf(
          ...[
            'default_priority::max_connections::1',
            'default_priority::max_pending_requests::1',
            '<local>::rq_total::1',
            '<local>::cx_total::1',
            '<local>::zone::',
          ].map((line) => new RegExp(`^outbound\\|80\\|\\|admin-breaker\\.<ns>\\.svc\\.cluster\\.local::${line}$`, 'm')),
        ),
      ),
    ],
  },
  {
    area,
    name: 'what cannot be: unknown paths, wrong methods, parameters that mean nothing',
    random: true,
    steps: [
      admin('client', '/nothing', { status: 404, body: /^invalid path\. admin commands are:\n/ }),
      admin('client', '/quitquitquit', { status: 405, body: 'Method GET not allowed, POST required.' }),
      admin('client', '/config_dump?resource=nothing', { status: 404 }),
      admin('client', '/stats?filter=(', { status: 400, body: /^Invalid re2 regex/ }),
      admin('client', '/logging?level=nothing', { status: oneOf(400, 500) }, 'POST'),
    ],
  },
  {
    area,
    name: '/logging and /healthcheck/ok change and say so',
    random: true,
    services: [service('admin-change', { app: 'a', direct: true })],
    steps: [
      admin('told', '/logging', { status: 200, type: TEXT, body: /^active loggers:\n/ }, 'POST'),
      admin('told', '/logging?level=info', { status: 200, body: /: info\n/ }, 'POST'),
      http({ from: 'told', times: 3, expect: { statuses: { 200: 3 } } }),
      admin('told', '/healthcheck/ok', { status: 200, body: 'OK\n' }, 'POST'),
      admin('told', '/ready', { status: 200, body: 'LIVE\n' }),
    ],
  },
];

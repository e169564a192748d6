// The pages of the admin interface: paths, parameters and shapes as Envoy's.

import { compileRegex } from '@weft/mesh-core/traffic';
import type { AdminOptions } from './admin.ts';
import { dumpConfiguration } from './config-dump.ts';
import { addressOf } from '../upstream/endpoint.ts';
import { StatsView, clustersText, collectStats } from './stats-text.ts';
import { certificates, clusterStatuses, listenerStatuses } from './status-json.ts';

export interface Reply {
  status: number;
  type: string;
  body: string;
}

export interface Page {
  method: 'GET' | 'POST';
  help: string;
  answer(query: URLSearchParams): Reply | Promise<Reply>;
}

/** A parameter that cannot be understood. */
export class QueryError extends Error {
  readonly code = 'WEFT_ADMIN_QUERY';
}

/** Envoy's --drain-time-s. */
const GRACEFUL_DRAIN_MS = 600_000;
const DRAIN_MS = 5_000;

export const text = (body: string, status = 200): Reply => ({ status, type: 'text/plain; charset=UTF-8', body });
const json = (value: unknown): Reply => ({ status: 200, type: 'application/json', body: `${JSON.stringify(value, null, 1)}\n` });

/** By path. */
export function pagesOf(o: AdminOptions): ReadonlyMap<string, Page> {
  const view = new StatsView();
  const collected = (): ReadonlyMap<string, number> => collectStats(o.runtime.stats(), o.stats());
  const prometheus = async (): Promise<Reply> => ({ status: 200, ...(await o.prometheus()) });
  const stats = (query: URLSearchParams): Reply | Promise<Reply> => {
    const format = query.get('format') ?? 'text';
    if (format === 'prometheus') return prometheus();
    const selected = view.select(collected(), { name: matcher(query, 'filter'), used: query.has('usedonly') });
    if (format === 'json') return { ...json(''), body: JSON.stringify({ stats: selected.map(([name, value]) => ({ name, value })) }) };
    if (format !== 'text') throw new QueryError('usage: /stats?format=(json|prometheus|text)');
    return text(selected.map(([name, value]) => `${name}: ${value}\n`).join(''));
  };
  const pages: Readonly<Record<string, Page>> = {
    '/certs': get('print certs on machine', () => json(certificates(o.configuration, Date.now()))),
    '/clusters': get('upstream cluster status; format=json', (query) =>
      asJson(query) ? json(clusterStatuses(o.runtime.stats())) : text(clustersText(o.runtime.stats())),
    ),
    '/config_dump': get('dump current configuration; resource, mask, name_regex, include_eds', (query) => {
      const resource = query.get('resource') ?? undefined;
      const mask = query.get('mask') ?? undefined;
      const dump = dumpConfiguration(o.configuration, { resource, mask, name: matcher(query, 'name_regex'), endpoints: query.has('include_eds') });
      return dump === undefined ? text(`${resource} not found in config dump`, 404) : json(dump);
    }),
    '/drain_listeners': post('drain listeners; graceful', (query) => {
      const unknown = [...query.keys()].filter((key) => key !== 'graceful');
      if (unknown.length > 0) throw new QueryError(`this proxy cannot drain by ${unknown.join(', ')}`);
      o.drain(query.has('graceful') ? GRACEFUL_DRAIN_MS : DRAIN_MS);
      return text('OK\n');
    }),
    '/healthcheck/fail': post('cause the server to fail health checks', () => health(o, true)),
    '/healthcheck/ok': post('cause the server to pass health checks', () => health(o, false)),
    '/help': get('print out list of admin commands', () => text(help())),
    '/listeners': get('print listener info; format=json', (query) => {
      if (asJson(query)) return json(listenerStatuses(o.runtime.stats()));
      return text(
        o.runtime
          .stats()
          .listeners.map((l) => `${l.name}::${addressOf(l)}${l.listening ? '' : ' (not bound)'}\n`)
          .join(''),
      );
    }),
    '/logging': post('query/change logging levels; level=info or off', (query) => {
      const level = query.get('level');
      if (level !== null && level !== 'info' && level !== 'off') throw new QueryError(`level=${level}: this proxy has info and off`);
      if (level !== null) o.logging.enabled = level === 'info';
      return text(`active loggers:\n  proxy: ${o.logging.enabled ? 'info' : 'off'}\n`);
    }),
    '/memory': get('print current allocation/heap usage of the process', () => {
      const { heapUsed, heapTotal, rss } = process.memoryUsage();
      return json({ allocated: String(heapUsed), heap_size: String(heapTotal), total_physical_bytes: String(rss) });
    }),
    '/quitquitquit': post('exit the server', () => {
      // After the answer is out.
      setImmediate(o.quit);
      return text('OK\n');
    }),
    '/ready': get('print server state, return 200 if LIVE, otherwise return 503', () => text(`${o.state()}\n`, o.state() === 'LIVE' ? 200 : 503)),
    '/reopen_logs': post('reopen access logs', () => {
      o.reopenLogs();
      return text('OK\n');
    }),
    '/reset_counters': post('reset the counters of /stats to zero', () => {
      view.reset(collected());
      return text('OK\n');
    }),
    // Layered runtime keys are an Envoy's; there are none to tell.
    '/runtime': get('print runtime values', () => json({ entries: {}, layers: [] })),
    '/server_info': get('print server version/status information', () => json({ state: o.state(), ...o.info() })),
    '/stats': get('print server stats; filter, usedonly, format=json or prometheus', stats),
    '/stats/prometheus': get('print Istio’s metrics in prometheus format', prometheus),
  };
  const help = (): string =>
    `admin commands are:\n${Object.entries(pages)
      .map(([path, page]) => `  ${path}${page.method === 'POST' ? ' (POST)' : ''}: ${page.help}\n`)
      .join('')}`;
  return new Map(Object.entries(pages));
}

function get(help: string, answer: Page['answer']): Page {
  return { method: 'GET', help, answer };
}

function post(help: string, answer: Page['answer']): Page {
  return { method: 'POST', help, answer };
}

function health(o: AdminOptions, failed: boolean): Reply {
  o.failHealth(failed);
  return text('OK\n');
}

function asJson(query: URLSearchParams): boolean {
  return query.get('format') === 'json';
}

/** Whether a name has a match of the parameter's RE2; undefined = no such parameter. */
function matcher(query: URLSearchParams, parameter: string): ((name: string) => boolean) | undefined {
  const pattern = query.get(parameter);
  if (pattern === null) return undefined;
  try {
    const regex = compileRegex(pattern);
    return (name) => regex.matcher(name).find();
  } catch (error) {
    throw new QueryError(`Invalid re2 regex: ${(error as Error).message}`);
  }
}

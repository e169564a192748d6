// weft proxy status, weft proxy config, weft proxy admin.

import { type ProxyStatus, RESOURCE_TYPES, compareProxies, proxyName } from '@weft/mesh-core/api';
import { Argument, type Command, Option } from 'commander';
import { StartError } from '../agent/errors.ts';
import { clientOf } from './objects-commands.ts';
import { print, table } from './print.ts';
import {
  type Certificates,
  type ClusterStatuses,
  type ConfigDump,
  type Table,
  certificateTable,
  clusterTable,
  endpointTable,
  listenerTable,
  routeTable,
} from './proxy-config.ts';
import { nackLines } from './refusals.ts';

const TELEMETRY = { embedded: 'own', stats: 'stats logger', als: 'gRPC access log', none: '-' } as const;

interface Part {
  /** Of the proxy's admin interface. */
  path: string;
  /** Without one it is JSON only. */
  table?: (json: unknown) => Table;
}
const PARTS: Readonly<Record<string, Part>> = {
  clusters: { path: '/config_dump', table: (json) => clusterTable(json as ConfigDump) },
  listeners: { path: '/config_dump', table: (json) => listenerTable(json as ConfigDump) },
  routes: { path: '/config_dump', table: (json) => routeTable(json as ConfigDump) },
  endpoints: { path: '/clusters?format=json', table: (json) => endpointTable(json as ClusterStatuses) },
  secrets: { path: '/certs', table: (json) => certificateTable(json as Certificates, Date.now()) },
  all: { path: '/config_dump?include_eds' },
};

/** `2`, or `1, 1 NOT APPLIED`. */
function envoyFilterCell({ envoyFilters = [] }: ProxyStatus): string {
  const missing = envoyFilters.filter((f) => !f.applied).length;
  return missing === 0
    ? envoyFilters.length === 0
      ? '-'
      : String(envoyFilters.length)
    : [...(missing < envoyFilters.length ? [String(envoyFilters.length - missing)] : []), `${missing} NOT APPLIED`].join(', ');
}

export function registerProxy(program: Command): void {
  const output = (): Option => new Option('-o, --output <form>', 'output form').choices(['table', 'json']).default('table');

  const proxy = program.command('proxy').description('proxies of the mesh');
  proxy
    .command('status')
    .description('how far each proxy is in step with the configuration')
    .argument('[proxy]', 'only this one, as it is named here; the namespace may be left out')
    .addOption(output())
    .action(async (name: string | undefined, options: { output: string }, command: Command) => {
      const { items: all } = (await clientOf(command).getJson('/api/v1/proxies')) as { items: ProxyStatus[] };
      const items = name === undefined ? all.toSorted(compareProxies) : [proxyNamed(name, all, 'known')];
      if (options.output === 'json') return print(JSON.stringify(items, undefined, 2));
      const cell = (proxy: ProxyStatus, type: string): string => {
        const t = proxy.types.find((p) => p.type === type);
        return t === undefined
          ? '-'
          : t.nack !== undefined && t.ackedVersion !== t.sentVersion
            ? 'NACK'
            : t.ackedVersion === t.sentVersion
              ? 'SYNCED'
              : 'STALE';
      };
      print(
        table(
          ['PROXY', 'DATA PLANE', 'STATE', ...RESOURCE_TYPES.map((t) => t.toUpperCase()), 'TELEMETRY', 'ENVOYFILTERS'],
          items.map((p) => [
            `${proxyName(p.id)}.${p.namespace}`,
            `${p.dataPlane} ${p.version}`,
            p.state.toUpperCase(),
            ...RESOURCE_TYPES.map((t) => cell(p, t)),
            TELEMETRY[p.telemetry ?? 'none'],
            envoyFilterCell(p),
          ]),
        ),
      );
      const refused = nackLines(items);
      if (refused.length > 0) print(`\nRefused, so that what was there before goes on:\n${refused.map((line) => `  ${line}`).join('\n')}`);
      const missing = new Set(items.flatMap((p) => (p.missingKeys ?? []).map((k) => `  ${k.policy} spec.jwtRules[${k.rule}]: ${k.reason}`)));
      if (missing.size > 0) print(`\nWithout keys, so that every token of the rule is refused:\n${[...missing].join('\n')}`);
    });

  proxy
    .command('config')
    .description('what a proxy has, asked of the proxy itself: as istioctl proxy-config')
    .addArgument(new Argument('<part>').choices(Object.keys(PARTS)))
    .argument('<proxy>', 'as proxy status names it (reviews-v1.bookinfo); the namespace may be left out')
    .option('--filter <text>', 'only lines with this text')
    .addOption(output())
    .action(async (part: string, name: string, options: { filter?: string; output: string }, command: Command) => {
      const { items } = (await clientOf(command).getJson('/api/v1/proxies')) as { items: ProxyStatus[] };
      const { path, table: shape } = PARTS[part] as Part;
      const { filter } = options;
      const asJson = shape === undefined || options.output === 'json';
      if (asJson && filter !== undefined) throw new StartError('WEFT_USAGE', `--filter is for lines of a table: ${part} is JSON here`);
      const json: unknown = await (await ofAdmin(proxyNamed(name, items), path)).json();
      if (asJson) return print(JSON.stringify(json, undefined, 2));
      const { head, rows } = shape(json);
      return print(table(head, filter === undefined ? rows : rows.filter((row) => row.join('  ').includes(filter))));
    });

  proxy
    .command('admin')
    .description('a page of the admin interface of a proxy, as it is: as pilot-agent request GET')
    .argument('<proxy>', 'as proxy status names it (reviews-v1.bookinfo); the namespace may be left out')
    .argument('[page]', "like 'stats?filter=pending', clusters, config_dump, server_info", 'help')
    .option('--post', "for pages that change something, like 'logging?level=debug', reset_counters", false)
    .action(async (name: string, page: string, { post }: { post: boolean }, command: Command) => {
      const { items } = (await clientOf(command).getJson('/api/v1/proxies')) as { items: ProxyStatus[] };
      const answer = await ofAdmin(proxyNamed(name, items), page.replace(/^\/?/, '/'), post ? 'POST' : 'GET');
      print((await answer.text()).trimEnd());
    });
}

function proxyNamed(name: string, proxies: readonly ProxyStatus[], which: 'connected' | 'known' = 'connected'): ProxyStatus {
  const there = proxies.filter((p) => which === 'known' || p.state !== 'disconnected');
  const full = (p: ProxyStatus): string => `${proxyName(p.id)}.${p.namespace}`;
  const found = there.filter((p) => full(p) === name || proxyName(p.id) === name);
  const [proxy] = found;
  if (proxy !== undefined && found.length === 1) return proxy;
  const names = (found.length === 0 ? there : found).map(full).join(', ');
  throw new StartError('WEFT_USAGE', `${found.length === 0 ? 'no' : 'more than one'} ${which} proxy is called ${name}; use one of ${names || 'none'}`);
}

async function ofAdmin(proxy: ProxyStatus, path: string, method: 'GET' | 'POST' = 'GET'): Promise<Response> {
  const address = `http://127.0.0.1:${proxy.adminPort}`;
  const admin = `the admin interface of ${proxyName(proxy.id)}.${proxy.namespace}`;
  const response = await fetch(`${address}${path}`, { method, signal: AbortSignal.timeout(10_000) }).catch((error: unknown) => {
    throw new StartError('WEFT_PROXY_UNREACHABLE', `${admin} does not answer at ${address}: it is reachable from the proxy's own machine only`, {
      cause: error,
    });
  });
  if (!response.ok) throw new StartError('WEFT_REFUSED', `${admin} answered ${response.status} to ${method} ${path}: ${(await response.text()).trimEnd()}`);
  return response;
}

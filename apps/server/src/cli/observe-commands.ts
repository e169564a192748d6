// weft stat, edges, requests, traces, trace: what the mesh is doing.

import type { GraphSnapshot, GraphType, RecordedRequest, Status, Trace, TraceSummary } from '@weft/mesh-core/api';
import { durationMs } from '@weft/mesh-core/config';
import { Argument, type Command, Option } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartError } from '../agent/errors.ts';
import { clientOf } from './objects-commands.ts';
import { edgeTable, requestLine, spanTable, statTable, tracesTable } from './observe-tables.ts';
import { print, table } from './print.ts';
import type { Table } from './proxy-config.ts';

const GRAPH_TYPES: Readonly<Record<string, GraphType>> = { workloads: 'workload', services: 'service', apps: 'app' };
/** How often `--follow` asks. */
const FOLLOW_MS = 1_000;
/** As many as the server gives at a time. */
const MOST_REQUESTS = 500;
const MOST_TRACES = 1_500;

export function registerObserve(program: Command): void {
  const output = (): Option => new Option('-o, --output <form>', 'output form').choices(['table', 'json']).default('table');
  const namespace = (): Option => new Option('-n, --namespace <namespace>', 'only of this namespace');
  const window = (): Option => new Option('-w, --window <duration>', 'the time figures are of').default('30s');

  program
    .command('stat')
    .description('success, rate and latency of workloads, services or apps, as linkerd viz stat')
    .addArgument(new Argument('[what]').choices(Object.keys(GRAPH_TYPES)).default('workloads'))
    .addOption(namespace())
    .addOption(window())
    .addOption(output())
    .action(async (what: string, options: GraphOptions & Output, command: Command) => {
      tell(options, await graphOf(command, GRAPH_TYPES[what] ?? 'workload', options), (graph) => statTable(graph, options.namespace));
    });

  program
    .command('edges')
    .description('who calls whom, how much, and whether over mutual TLS, as linkerd viz edges')
    .addOption(namespace())
    .addOption(window())
    .addOption(output())
    .action(async (options: GraphOptions & Output, command: Command) => {
      tell(options, await graphOf(command, 'workload', options), edgeTable);
    });

  program
    .command('requests')
    .description('the last traced requests a service got, or should have got, a line each: weft requests reviews --errors --follow')
    .argument('<service>', 'its name, or <service>.<namespace>')
    .option('-n, --namespace <namespace>', 'namespace of the service', 'bookinfo')
    .option('--errors', 'only those that failed', false)
    .option('-l, --limit <number>', 'how many', '20')
    .option('-f, --follow', 'go on with those that come', false)
    .action(async (service: string, options: { namespace: string; errors: boolean; limit: string; follow: boolean }, command: Command) => {
      const client = clientOf(command);
      const called = service.includes('.') ? service : `${service}.${options.namespace}`;
      const ask = async (more: Record<string, string>): Promise<RecordedRequest[]> => {
        const query = new URLSearchParams({ service: called, status: options.errors ? 'error' : 'any', ...more });
        return ((await client.getJson(`/api/v1/requests?${query.toString()}`)) as { items: RecordedRequest[] }).items.toReversed();
      };
      const limit = countOf('--limit', options.limit, MOST_REQUESTS);
      let known = await ask({ limit: String(options.follow ? MOST_REQUESTS : limit) });
      for (const request of known.slice(-limit)) print(requestLine(request));
      if (known.length === 0 && !options.follow) process.stderr.write(`weft: no traced request of ${called} ${options.errors ? 'failed' : 'is kept'}\n`);
      while (options.follow) {
        await sleep(FOLLOW_MS);
        // Spans come late and out of order: what is new is told by its id.
        const before = new Set(known.map((r) => r.spanId));
        known = await ask({ limit: String(MOST_REQUESTS) });
        for (const request of known) if (!before.has(request.spanId)) print(requestLine(request));
      }
    });

  program
    .command('traces')
    .description('the last traces: weft traces --service reviews.bookinfo --errors')
    .option('-s, --service <service>', 'with a span of this one, as <service>.<namespace>')
    .option('--errors', 'only those with an error', false)
    .option('--min <duration>', 'that took at least this long')
    .option('-l, --limit <number>', 'how many', '20')
    .addOption(output())
    .action(async (options: { service?: string; errors: boolean; min?: string; limit: string } & Output, command: Command) => {
      const query = new URLSearchParams({
        limit: String(countOf('--limit', options.limit, MOST_TRACES)),
        status: options.errors ? 'error' : 'any',
      });
      if (options.service !== undefined) query.set('service', options.service);
      if (options.min !== undefined) query.set('minMs', String(millisOf('--min', options.min)));
      const { traces } = (await clientOf(command).getJson(`/api/v1/traces?${query.toString()}`)) as { traces: TraceSummary[] };
      tell(options, traces, tracesTable);
      if (traces.length === 0) process.stderr.write('weft: no such trace is kept\n');
    });

  program
    .command('trace')
    .description('the spans of one trace, each under what caused it')
    .argument('<id>')
    .addOption(output())
    .action(async (id: string, options: Output, command: Command) => {
      if (!/^[0-9a-f]{16,32}$/.test(id)) throw new StartError('WEFT_USAGE', `${id} is no trace id: it has 16 to 32 digits, 0-9 and a-f`);
      tell(options, (await clientOf(command).getJson(`/api/v1/traces/${encodeURIComponent(id)}`)) as Trace, spanTable);
    });
}

interface Output {
  output: string;
}

interface GraphOptions {
  namespace?: string;
  window: string;
}

async function graphOf(command: Command, graphType: GraphType, { namespace = '', window }: GraphOptions): Promise<GraphSnapshot> {
  const windowSec = String(Math.round(millisOf('--window', window) / 1_000));
  const client = clientOf(command);
  if (namespace !== '') {
    const { namespaces } = (await client.getJson('/api/v1/status')) as Status;
    if (!namespaces.includes(namespace)) throw new StartError('WEFT_USAGE', `there is no namespace ${namespace}; there is ${namespaces.join(', ')}`);
  }
  const query = new URLSearchParams({ graphType, namespaces: namespace, windowSec });
  return (await client.getJson(`/api/v1/graph?${query.toString()}`)) as GraphSnapshot;
}

function millisOf(option: string, text: string): number {
  const ms = durationMs(text);
  if (ms === undefined) throw new StartError('WEFT_USAGE', `${option} is ${text}; it must be a duration with its unit, like 30s, 250ms or 1m30s`);
  return ms;
}

function countOf(option: string, text: string, most: number): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > most) throw new StartError('WEFT_USAGE', `${option} is ${text}; it must be a number from 1 to ${most}`);
  return count;
}

function tell<T>({ output }: Output, value: T, shape: (value: T) => Table): void {
  if (output === 'json') return print(JSON.stringify(value, undefined, 2));
  const { head, rows } = shape(value);
  print(table(head, rows));
}

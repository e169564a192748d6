// The command line of `weft up`.

import { type Command, Option } from 'commander';
import { StartError } from '../agent/errors.ts';
import { stateDirectory } from '../agent/state-directory.ts';
import { STOP_SIGNALS } from '../agent/stop-signals.ts';
import { type UpOptions, PORT_FLAGS, parsePort } from './up-options.ts';
import { up } from './up.ts';

export function registerUp(program: Command): void {
  const command = program
    .command('up')
    .description('start a mesh on this machine: control plane, sidecars with mutual TLS, the Bookinfo demo under load, and the console')
    .option('--envoy <workload...>', 'give these workloads stock Envoy as their sidecar, e.g. --envoy reviews-v2', [])
    .addOption(new Option('--data-plane <kind>', 'data plane of the whole demo').choices(['embedded', 'envoy']).default('embedded'))
    .addOption(
      new Option(
        '--envoy-telemetry <way>',
        'how requests of stock Envoy are counted; by default the stats access logger where the Envoy has it (1.37)',
      ).choices(['stats', 'als']),
    )
    .option('--envoy-pair', 'two Envoys on the same ports for each workload on Envoy, so that a crash of one refuses nobody', false)
    .option('--load <rps>', 'requests per second of the load generator', '20')
    .option('--access-log-file <path>', 'file every proxy appends its access log to; /dev/stdout = the log of its process', '')
    .addOption(new Option('--access-log-encoding <form>', 'form of its lines').choices(['TEXT', 'JSON']).default('TEXT'))
    .option('--trace-sampling <percent>', 'share of new traces recorded', '100')
    .addOption(new Option('--trace-export <kind=endpoint>', 'send spans on: jaeger=http://host:14268/api/traces or otlp=http://host:4318'))
    .option('--port-base <port>', 'first of the loopback ports given to sidecars and demo services', '21000');
  for (const { flag, env, fallback, what } of PORT_FLAGS) command.addOption(new Option(`${flag} <port>`, `port of ${what}`).env(env).default(String(fallback)));
  command.addHelpText('after', '\nConfiguration, certificates, ports and logs are kept in ~/.weft, or where WEFT_HOME says.');
  command.action(async (flags: Record<string, unknown>) => {
    const options = readOptions(flags);
    const interrupt = new AbortController();
    const signalled = new Promise<string>((resolve) => {
      for (const name of STOP_SIGNALS)
        process.once(name, () => {
          // A second Ctrl-C while stopping ends at once.
          process.on('SIGINT', () => process.exit(130));
          interrupt.abort();
          resolve(name);
        });
    });
    const end = async (): Promise<never> => process.exit((await signalled) === 'SIGINT' ? 130 : 0);
    const mesh = await up(options, (line) => process.stderr.write(`weft: ${line}\n`), interrupt.signal).catch((error: unknown) => {
      if (interrupt.signal.aborted) return end();
      throw error;
    });
    process.stdout.write(`Weft is running: ${mesh.url}  (product page: http://127.0.0.1:${mesh.plan.gateway.port}/productpage, stop with Ctrl-C)\n`);
    await signalled;
    await mesh.stop();
    await end();
  });
}

function readOptions(flags: Record<string, unknown>): UpOptions {
  const text = (key: string): string => String(flags[key]);
  const ports = Object.fromEntries(PORT_FLAGS.map(({ key, flag }) => [key, parsePort(text(key), flag)])) as Pick<UpOptions, (typeof PORT_FLAGS)[number]['key']>;
  const load = Number(text('load'));
  if (!(load >= 0 && load <= 2_000)) throw new StartError('WEFT_USAGE', `--load is ${text('load')}; it must be a number from 0 to 2000`);
  const traceSampling = Number(text('traceSampling'));
  if (!(traceSampling >= 0 && traceSampling <= 100))
    throw new StartError('WEFT_USAGE', `--trace-sampling is ${text('traceSampling')}; it must be a percentage from 0 to 100`);
  return {
    ...ports,
    portBase: parsePort(text('portBase'), '--port-base'),
    stateDir: stateDirectory(process.env),
    load,
    envoy: flags['envoy'] as string[],
    dataPlane: flags['dataPlane'] === 'envoy' ? 'envoy' : 'embedded',
    envoyPair: flags['envoyPair'] === true,
    traceSampling,
    accessLogFile: text('accessLogFile'),
    accessLogEncoding: text('accessLogEncoding') === 'JSON' ? 'JSON' : 'TEXT',
    ...(flags['envoyTelemetry'] === 'als' || flags['envoyTelemetry'] === 'stats' ? { envoyTelemetry: flags['envoyTelemetry'] } : {}),
    ...(typeof flags['traceExport'] === 'string' ? { traceExport: parseTraceExport(flags['traceExport']) } : {}),
  };
}

function parseTraceExport(value: string): { kind: 'jaeger' | 'otlp'; endpoint: string } {
  const match = /^(jaeger|otlp)=(https?:\/\/.+)$/.exec(value);
  const [, kind, endpoint] = match ?? [];
  if ((kind !== 'jaeger' && kind !== 'otlp') || endpoint === undefined)
    throw new StartError('WEFT_USAGE', `--trace-export is ${value}; write jaeger=http://host:14268/api/traces or otlp=http://host:4318`);
  return { kind, endpoint };
}

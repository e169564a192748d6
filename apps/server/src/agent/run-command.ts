// The command line of `weft run`.

import { type Command, Option } from 'commander';
import { parseName, parsePort } from '../fleet/up-options.ts';
import { StartError } from './errors.ts';
import { runInMesh } from './run.ts';
import { type ProgramPort, parseProgramPort } from './served-ports.ts';
import { stateDirectory } from './state-directory.ts';
import { parseLocality, parseWorkloadLabels } from './workload-flags.ts';

export function registerRun(program: Command): void {
  program
    .command('run')
    .description('put a program into the mesh: registers it, starts its sidecar, injects the addresses of its upstreams, takes it out when it ends')
    .requiredOption('--service <name>', 'service the program belongs to')
    .option(
      '--port <[name:]port>',
      'port the program listens on, with the name it has in its Service; once for each; without it the program is a client only',
      (text: string, before: readonly ProgramPort[]) => [...before, parseProgramPort(text)],
      [] as readonly ProgramPort[],
    )
    .option('--namespace <namespace>', 'namespace of the service', 'default')
    .option('--service-version <version>', 'version label', 'v1')
    .option('--label <label...>', 'further labels, like tier=gold: subsets, selectors and failoverPriority read them', [])
    .option('--locality <locality>', 'where it runs, for locality load balancing: region, region/zone or region/zone/subzone', '')
    .option('--service-account <name>', 'identity; default = the service name')
    .option('--protocol <name>', 'name of a port that has none, which tells the protocol: http, grpc, tcp ...; a Service that is there says it itself', 'http')
    .option(
      '--upstream <service...>',
      'services it calls (<service>.<namespace>[:port]) and hosts of ServiceEntries (<host>[:port]); default = all services',
      [],
    )
    .option('--health-path <path>', 'HTTP path of the (first) port that tells its health; default = a TCP connection to each')
    .addOption(new Option('--proxy <kind>', 'data plane').choices(['embedded', 'envoy']).default('embedded'))
    .option('--envoy-pair', 'with --proxy envoy: two Envoys on the same ports, so that a crash of one refuses nobody')
    .option('--port-base <port>', 'first of the loopback ports given to the sidecar', '22000')
    .argument('<command...>', 'the program and its arguments, after --')
    .passThroughOptions()
    .addHelpText(
      'after',
      "\nThe program finds its upstreams in <SERVICE>_URL (http, or what the port is declared as: https, tcp, mongodb ...), <SERVICE>_SERVICE_HOST, <SERVICE>_SERVICE_PORT and WEFT_UPSTREAM_<SERVICE>. They are of a service's first port; of another one: <SERVICE>_<PORT>_URL and so on. A service of another namespace is <SERVICE>_<NAMESPACE>. WEFT_HTTP_PROXY is a proxy for every host.\n\nPorts, the proxy's files and logs are kept in ~/.weft, or where WEFT_HOME says: that of this mesh's weft up, or one of its own; two meshes must not share one.\n\nExamples: weft run --service hello --port 9000 -- node app.js\n          weft run --service shop --port http:9000 --port grpc:9001 -- node shop.js\n          weft run --service curl -- bash",
    )
    .action(async (words: string[], flags: Record<string, unknown>, command: Command) => {
      const [first, ...rest] = words;
      if (first === undefined) throw new StartError('WEFT_USAGE', 'name the program to run after --');
      const ofPort = ['protocol', 'healthPath'].filter((key) => command.getOptionValueSource(key) === 'cli');
      const ports = flags['port'] as readonly ProgramPort[];
      if (ports.length === 0 && ofPort.length > 0)
        throw new StartError('WEFT_USAGE', '--protocol and --health-path say something of the port the program listens on: name it with --port');
      process.exitCode = await runInMesh(
        {
          server: String(command.optsWithGlobals()['server']),
          service: parseName(String(flags['service']), '--service'),
          namespace: String(flags['namespace']),
          version: String(flags['serviceVersion']),
          labels: parseWorkloadLabels(flags['label'] as string[]),
          locality: parseLocality(String(flags['locality'])),
          ...(typeof flags['serviceAccount'] === 'string' ? { serviceAccount: flags['serviceAccount'] } : {}),
          ports,
          protocol: String(flags['protocol']),
          upstreams: flags['upstream'] as string[],
          ...(typeof flags['healthPath'] === 'string' ? { healthPath: flags['healthPath'] } : {}),
          proxy: flags['proxy'] === 'envoy' ? 'envoy' : 'embedded',
          envoyPair: flags['envoyPair'] === true,
          portBase: parsePort(String(flags['portBase']), '--port-base'),
          stateDir: stateDirectory(process.env),
          command: [first, ...rest],
        },
        (line) => process.stderr.write(`weft: ${line}\n`),
      );
    });
}

// The command line of `weft gateway`.

import { type Command, Option } from 'commander';
import { parseName, parsePort } from '../fleet/up-options.ts';
import { StartError } from './errors.ts';
import { type GatewayPort, runGateway } from './gateway.ts';
import { stateDirectory } from './state-directory.ts';
import { parseLabel } from './workload-flags.ts';

export function registerGateway(program: Command): void {
  program
    .command('gateway')
    .description('run a gateway proxy: it opens the ports of the Gateways that select its labels')
    .option('--name <name>', 'name of the gateway, and of its Service; Gateways of the Gateway API with this name find it')
    .option('--gateway <name>', 'the Gateway of the Gateway API whose proxy this is; name and ports are then those Istio would give it')
    .option('--namespace <namespace>', 'namespace; Secrets of its certificates belong there', 'istio-system')
    .option('--label <label...>', 'labels Gateways select it by, like istio=egressgateway; default: istio=<name without istio->', [])
    .option('--port <port...>', 'ports of its Service, for programs of the mesh that call it, and where the proxy listens for each: http:80:21080', [])
    .addOption(new Option('--proxy <kind>', 'data plane').choices(['embedded', 'envoy']).default('embedded'))
    .option('--port-base <port>', 'first of the loopback ports given to its admin interface', '22000')
    .addHelpText(
      'after',
      '\nExamples: weft gateway --name istio-egressgateway --port http:80:21080\n          weft gateway --gateway bookinfo-gateway --namespace bookinfo',
    )
    .action(async (flags: Record<string, unknown>, command: Command) => {
      const { name, gateway } = namesOf(flags);
      const labels = (flags['label'] as string[]).map(parseLabel);
      await runGateway(
        {
          server: String(command.optsWithGlobals()['server']),
          name,
          ...(gateway === undefined ? {} : { gateway }),
          namespace: String(flags['namespace']),
          labels: labels.length === 0 && gateway === undefined ? { istio: name.replace(/^istio-/, '') } : Object.fromEntries(labels),
          ports: (flags['port'] as string[]).map(parseGatewayPort),
          proxy: flags['proxy'] === 'envoy' ? 'envoy' : 'embedded',
          portBase: parsePort(String(flags['portBase']), '--port-base'),
          stateDir: stateDirectory(process.env),
        },
        (line) => process.stderr.write(`weft: ${line}\n`),
      );
    });
}

/** A Gateway's proxy has the name of those Istio deploys for it. */
function namesOf(flags: Record<string, unknown>): { name: string; gateway?: string } {
  const gateway = flags['gateway'] === undefined ? undefined : parseName(String(flags['gateway']), '--gateway');
  if (flags['name'] !== undefined) return { name: parseName(String(flags['name']), '--name'), ...(gateway === undefined ? {} : { gateway }) };
  if (gateway === undefined) throw new StartError('WEFT_USAGE', 'name the gateway: --name <name>, or --gateway <name of a Gateway of the Gateway API>');
  return { name: `${gateway}-istio`, gateway };
}

export function parseGatewayPort(text: string): GatewayPort {
  const [, name, port, listen] = /^([a-z][-a-z0-9]*):(\d+)(?::(\d+))?$/.exec(text) ?? [];
  if (name === undefined || port === undefined)
    throw new StartError('WEFT_USAGE', `--port ${text}: write <name>:<port>, like http:80, or <name>:<port>:<where the proxy listens>, like http:80:21080`);
  return { name, port: parsePort(port, '--port'), listen: parsePort(listen ?? port, '--port') };
}

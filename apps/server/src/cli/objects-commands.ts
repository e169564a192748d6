// weft apply, get, delete, describe.

import { parseYaml, yamlPieces } from '@weft/mesh-core/config';
import { CLUSTER_NAMESPACE, type Kind, type MeshObject, type ObjectRef, KINDS, findKind, kindOfManifest, shownKind } from '@weft/mesh-core/model';
import { type Command, Option } from 'commander';
import { createControlClient, problemLine } from '../agent/control-client.ts';
import { StartError } from '../agent/errors.ts';
import { NotFoundError } from '../config-store/errors.ts';
import { type ConfigText, readFiles } from './config-files.ts';
import { print, show, table } from './print.ts';
import { goneLines, refusalLines, silentLines } from './refusals.ts';

/** How long `weft apply` waits for proxies to say what they think of it. */
const ANSWER_MS = 3_000;
/** As kubectl says it. */
const DONE = { create: 'created', update: 'configured', unchanged: 'unchanged' } as const;

export function clientOf(command: Command): ReturnType<typeof createControlClient> {
  return createControlClient(String(command.optsWithGlobals()['server']), 'cli');
}

function kindOf(name: string): Kind {
  const kind = findKind(name);
  if (kind === undefined) throw new StartError('WEFT_USAGE', `${name} is no kind of Weft: use ${[...new Set(KINDS.map((k) => k.plural))].join(', ')}`);
  return kind;
}

/** The objects a text is about; what cannot be read, or names nothing, is refused before anything is deleted. */
export function refsOf({ text, placeOf }: ConfigText): ObjectRef[] {
  const read = Array.from(yamlPieces(text), (piece) => parseYaml(piece.text, piece.before));
  const documents = read.flatMap((r) => r.documents);
  const [problem] = read.flatMap((r) => r.problems);
  if (problem !== undefined) throw new StartError('WEFT_USAGE', `nothing deleted: ${problemLine(problem, placeOf)}`);
  if (documents.length === 0) throw new StartError('WEFT_USAGE', 'nothing deleted: the files have no object');
  const refs = documents.map(({ value, locate }) => {
    const { apiVersion, kind, metadata } = (value ?? {}) as Partial<MeshObject>;
    const name: unknown = metadata?.name;
    if (typeof kind !== 'string' || typeof name !== 'string')
      throw new StartError('WEFT_USAGE', `nothing deleted: ${placeOf(locate([]).line ?? 1)}: an object has no kind or no metadata.name`);
    const { kind: known, clusterScoped } = kindOfManifest(kind, apiVersion) ?? kindOf(kind);
    return { kind: known, namespace: clusterScoped === true ? CLUSTER_NAMESPACE : (metadata?.namespace ?? 'default'), name };
  });
  // A namespace takes along what is in it: what the files have of that goes before.
  return [...refs.filter((r) => r.kind !== 'Namespace'), ...refs.filter((r) => r.kind === 'Namespace')];
}

export function registerObjects(program: Command): void {
  const output = (): Option => new Option('-o, --output <form>', 'output form').choices(['table', 'json', 'yaml']).default('table');

  program
    .command('apply')
    .description('create or update the objects of files: all of them, or none')
    .requiredOption('-f, --filename <path...>', 'files, directories, or - for standard input')
    .option('-n, --namespace <namespace>', 'namespace of objects that name none (default: "default")')
    .option('--dry-run', 'only tell what it would do: the server checks, and writes nothing')
    .action(async (options: { filename: string[]; namespace?: string; dryRun?: true }, command: Command) => {
      const { text: yaml, placeOf } = readFiles(options.filename, options.namespace);
      const client = clientOf(command);
      const dryRun = options.dryRun === true;
      const { revision, applied, problems } = await client.applyYaml(yaml, 'weft apply', { placeOf, dryRun });
      for (const { ref, verb } of applied) print(`${shownKind(ref.kind)}/${ref.name} ${DONE[verb]}${dryRun ? ' (server dry run)' : ''}`);
      for (const p of problems) process.stderr.write(`weft: ${p.severity}: ${problemLine(p, placeOf)}\n`);
      if (dryRun) return;
      const propagation = await client.propagationOf(revision, ANSWER_MS);
      for (const line of refusalLines(propagation)) process.stderr.write(`weft: error: ${line}\n`);
      for (const line of [...silentLines(propagation), ...goneLines(propagation)]) process.stderr.write(`weft: warning: ${line}\n`);
    });

  program
    .command('get')
    .description('list objects of a kind, or show one')
    .argument('<kind>')
    .argument('[name]')
    .option('-n, --namespace <namespace>', 'namespace', 'default')
    .option('-A, --all-namespaces', 'all namespaces')
    .addOption(output())
    .action(async (kindName: string, name: string | undefined, options: { namespace: string; allNamespaces?: boolean; output: string }, command: Command) => {
      const kind = kindOf(kindName);
      const items = await clientOf(command).list(kind.kind, options.allNamespaces === true ? undefined : options.namespace);
      const wanted = name === undefined ? items : items.filter((o) => o.metadata.name === name);
      if (name !== undefined && wanted.length === 0)
        throw new StartError('WEFT_REFUSED', new NotFoundError({ kind: kind.kind, namespace: options.namespace, name }).message);
      if (wanted.length === 0 && options.output === 'table') {
        process.stderr.write(
          `No ${kind.plural} in ${options.allNamespaces === true ? 'any namespace' : `namespace ${options.namespace}; -A shows all namespaces`}.\n`,
        );
        return;
      }
      print(show(kind.kind, wanted, options.output, name !== undefined));
    });

  program
    .command('delete')
    .description('delete an object, or the objects of files')
    .argument('[kind]')
    .argument('[name]')
    .option('-n, --namespace <namespace>', 'namespace; with -f of objects that name none (default: "default")')
    .option('-f, --filename <path...>', 'files, directories, or -')
    .action(async (kindName: string | undefined, name: string | undefined, options: { namespace?: string; filename?: string[] }, command: Command) => {
      const named = kindName === undefined || name === undefined ? undefined : { kind: kindOf(kindName).kind, namespace: options.namespace ?? 'default', name };
      if (options.filename === undefined ? named === undefined : kindName !== undefined)
        throw new StartError('WEFT_USAGE', 'say what to delete: weft delete <kind> <name>, or -f <file>');
      const refs = named === undefined ? refsOf(readFiles(options.filename ?? [], options.namespace)) : [named];
      const client = clientOf(command);
      // What is not there any more must not keep the others.
      const failed: string[] = [];
      for (const ref of refs)
        await client.remove(ref).then(
          (message) => {
            print(`${shownKind(ref.kind)}/${ref.name} deleted`);
            if (message !== undefined) process.stderr.write(`weft: warning: ${message}\n`);
          },
          (error: unknown) => {
            if (!(error instanceof StartError && error.code === 'WEFT_REFUSED')) throw error;
            failed.push(error.message);
          },
        );
      if (failed.length > 0) throw new StartError('WEFT_REFUSED', failed.join('\nweft: '));
    });

  program
    .command('describe')
    .description('show an object with its problems')
    .argument('<kind>')
    .argument('<name>')
    .option('-n, --namespace <namespace>', 'namespace', 'default')
    .action(async (kindName: string, name: string, options: { namespace: string }, command: Command) => {
      const kind = kindOf(kindName);
      const object = (await clientOf(command).getJson(
        `/api/v1/config/${kind.kind}/${kind.clusterScoped === true ? CLUSTER_NAMESPACE : options.namespace}/${name}`,
      )) as {
        yaml: string;
        resourceVersion: string;
        problems: { severity: string; code: string; path?: string; line?: number; message: string }[];
      };
      print(object.yaml.trimEnd());
      print('');
      print(
        object.problems.length === 0
          ? 'No problems.'
          : table(
              ['SEVERITY', 'CODE', 'LINE', 'PROBLEM'],
              object.problems.map((p) => [p.severity, p.code, String(p.line ?? ''), `${p.path === undefined ? '' : `${p.path}: `}${p.message}`]),
            ),
      );
    });
}

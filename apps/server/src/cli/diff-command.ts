// weft diff: what an apply of files would change, as kubectl diff shows it.

import { REDACTED, type SecretSpec, toYaml } from '@weft/mesh-core/config';
import { type MeshObject, refKey, refOf, shownRef } from '@weft/mesh-core/model';
import type { Command } from 'commander';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { parse, stringify } from 'yaml';
import { problemLine } from '../agent/control-client.ts';
import { StartError } from '../agent/errors.ts';
import { readText } from '../api/config-text.ts';
import { readFiles } from './config-files.ts';
import { clientOf } from './objects-commands.ts';
import { print } from './print.ts';

/** Keys in order and without comments: what differs is meant, not how it is written. */
function plain(object: MeshObject | undefined, side: 'before' | 'after'): string {
  return object === undefined ? '' : stringify(parse(toYaml(withoutValues(object, side))), { sortMapEntries: true, lineWidth: 0 });
}

/** The server does not tell values of Secrets, and those of the file are nobody's to read over a shoulder. */
function withoutValues(object: MeshObject, side: 'before' | 'after'): MeshObject {
  if (object.kind !== 'Secret') return object;
  const { data, ...spec } = object.spec as SecretSpec;
  return { ...object, spec: { ...spec, data: Object.fromEntries(Object.keys(data).map((key) => [key, `${REDACTED} (${side})`])) } };
}

export function registerDiff(program: Command): void {
  program
    .command('diff')
    .description('what weft apply would change: the server checks, and writes nothing')
    .requiredOption('-f, --filename <path...>', 'files, directories, or - for standard input')
    .option('-n, --namespace <namespace>', 'namespace of objects that name none (default: "default")')
    .addHelpText('after', '\nExit code: 0 no differences, 1 differences, more than 1 an error.')
    .action(async (options: { filename: string[]; namespace?: string }, command: Command) => {
      const { text, placeOf } = readFiles(options.filename, options.namespace);
      const client = clientOf(command);
      try {
        const { applied, problems } = await client.applyYaml(text, 'weft diff', { placeOf, dryRun: true });
        const wanted = new Map(readText(text).objects.map(({ object }) => [refKey(refOf(object)), object]));
        for (const { ref, verb } of applied) {
          if (verb === 'unchanged') continue;
          const stored =
            verb === 'create' ? undefined : ((await client.getJson(`/api/v1/config/${ref.kind}/${ref.namespace}/${ref.name}`)) as { yaml: string });
          const before = stored === undefined ? undefined : readText(stored.yaml).objects[0]?.object;
          const name = shownRef(ref);
          const [live, merged] = [plain(before, 'before'), plain(wanted.get(refKey(ref)), 'after')];
          // A comment that changed is written, and changes nothing.
          if (live === merged) continue;
          print(createTwoFilesPatch(`live/${name}`, `applied/${name}`, live, merged, '', '', { context: 3, headerOptions: FILE_HEADERS_ONLY }).trimEnd());
          process.exitCode = 1;
        }
        for (const problem of problems) process.stderr.write(`weft: ${problem.severity}: ${problemLine(problem, placeOf)}\n`);
      } catch (error) {
        if (error instanceof StartError && error.code === 'WEFT_REFUSED') throw new StartError('WEFT_DIFF_FAILED', error.message, { cause: error });
        throw error;
      }
    });
}

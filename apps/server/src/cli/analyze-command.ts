// weft analyze: what is wrong with the stored configuration, or with files against it or by themselves.

import { analyzeObjects } from '@weft/mesh-core/config';
import type { Problem } from '@weft/mesh-core/model';
import { shownRef } from '@weft/mesh-core/model';
import { type Command, Option } from 'commander';
import { StartError } from '../agent/errors.ts';
import { inText, readText } from '../api/config-text.ts';
import { type ConfigText, readFiles } from './config-files.ts';
import { clientOf } from './objects-commands.ts';
import { print } from './print.ts';

const WORD = { error: 'Error', warning: 'Warning', info: 'Info' } as const;
const RANK = { error: 0, warning: 1, info: 2 } as const;

/** Worst first: `Error [IST0101] (VirtualService/bookinfo/reviews vs.yaml line 3) message`. */
export function findingLines(problems: readonly Problem[], placeOf?: ConfigText['placeOf']): string[] {
  return problems
    .toSorted((a, b) => RANK[a.severity] - RANK[b.severity])
    .map(({ severity, code, ref, line, path, message }) => {
      const place = line === undefined || placeOf === undefined ? [] : [placeOf(line)];
      const subject = [...(ref === undefined ? [] : [shownRef(ref)]), ...place].join(' ');
      return `${WORD[severity]} [${code}]${subject === '' ? '' : ` (${subject})`} ${path === undefined ? '' : `${path}: `}${message}`;
    });
}

/** Files by themselves: what they refer to must be among them. */
export function analyzeText(text: string): Problem[] {
  const read = readText(text);
  const found = analyzeObjects(
    read.objects.map((o) => o.object),
    [],
  );
  return [...read.problems, ...inText(found, read)];
}

export function registerAnalyze(program: Command): void {
  program
    .command('analyze')
    .description('tell what is wrong with the configuration, or would be with files: weft analyze, weft analyze -f new.yaml')
    .option('-f, --filename <path...>', 'files, directories, or - for standard input; checked against what the server has')
    .option('--offline', 'the files by themselves, without a server')
    .option('-n, --namespace <namespace>', 'only objects of this namespace; with -f that of objects that name none')
    .addOption(new Option('-o, --output <form>', 'output form').choices(['text', 'json']).default('text'))
    .addHelpText('after', '\nExit code: 0 no errors (there may be warnings), 1 errors.')
    .action(async (options: { filename?: string[]; offline?: true; namespace?: string; output: string }, command: Command) => {
      if (options.offline === true && options.filename === undefined) throw new StartError('WEFT_USAGE', '--offline is about files: say which with -f');
      const files = options.filename === undefined ? undefined : readFiles(options.filename, options.namespace);
      const all =
        files === undefined
          ? ((await clientOf(command).getJson('/api/v1/problems')) as { items: Problem[] }).items
          : options.offline === true
            ? analyzeText(files.text)
            : await clientOf(command).check(files.text);
      const problems = files === undefined && options.namespace !== undefined ? all.filter((p) => p.ref?.namespace === options.namespace) : all;
      if (options.output === 'json') print(JSON.stringify(problems, undefined, 2));
      else if (problems.length === 0)
        print(`No problems found${options.namespace === undefined || files !== undefined ? '' : ` in namespace ${options.namespace}`}.`);
      else for (const line of findingLines(problems, files?.placeOf)) print(line);
      if (problems.some((p) => p.severity === 'error')) process.exitCode = 1;
    });
}

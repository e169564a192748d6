// What the command line says of a workload: its labels and where it runs.

import { labelProblem } from '@weft/mesh-core/config';
import { StartError } from './errors.ts';

/** Labels that are made of something else. */
const WRITTEN: ReadonlyMap<string, string> = new Map([
  ['app', 'it is the service: say it with --service'],
  ['version', 'say it with --service-version'],
  ['security.istio.io/tlsMode', 'it tells that there is a sidecar: which connections that takes is said by a PeerAuthentication'],
]);

export function parseLabel(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new StartError('WEFT_USAGE', `--label ${text}: write <key>=<value>, like tier=gold`);
  const [key, value] = [text.slice(0, at), text.slice(at + 1)];
  for (const [what, problem] of [
    [key, labelProblem(key, '')],
    [value, labelProblem('x', value)],
  ])
    if (problem !== undefined) throw new StartError('WEFT_USAGE', `--label ${text}: ${what} ${problem}`);
  return [key, value];
}

export function parseWorkloadLabels(texts: readonly string[]): Record<string, string> {
  const labels = texts.map(parseLabel);
  for (const [key, value] of labels) {
    const instead = WRITTEN.get(key);
    if (instead !== undefined) throw new StartError('WEFT_USAGE', `--label ${key}=${value}: ${key} is not free, ${instead}`);
  }
  return Object.fromEntries(labels);
}

/** '' = unknown. */
export function parseLocality(text: string): string {
  if (text !== '' && !/^[^/*\s]+(\/[^/*\s]+){0,2}$/.test(text))
    throw new StartError(
      'WEFT_USAGE',
      `--locality ${text}: write region, region/zone or region/zone/subzone, like us-east1/us-east1-b; no part may be empty or have a *`,
    );
  return text;
}

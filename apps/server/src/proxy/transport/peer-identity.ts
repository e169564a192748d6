// The SPIFFE identity in a peer's certificate and whether it is one of those expected.

import { compileStringMatch } from '@weft/mesh-core/traffic';
import type { StringMatch } from '../config/model.ts';

/**
 * URI entries of Node's `subjectAltName` text. Node quotes values that contain separators as JSON, so a name cannot smuggle a
 * second entry in.
 */
export function uriSans(subjectAltName: string | undefined): string[] {
  const found: string[] = [];
  let rest = subjectAltName ?? '';
  while (rest !== '') {
    const match = /^(?<kind>[A-Za-z ]+):(?<value>"(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/.exec(rest);
    if (match?.groups === undefined) return found;
    const { kind, value } = match.groups;
    if (kind === 'URI' && value !== undefined) found.push(value.startsWith('"') ? String(JSON.parse(value)) : value);
    rest = rest.slice(match[0].length);
  }
  return found;
}

/** Accepts a certificate with one of the wanted URI SANs; with none wanted, any. @throws RegexError */
export function compilePeerSans(wanted: readonly StringMatch[]): (subjectAltName: string | undefined) => boolean {
  if (wanted.length === 0) return () => true;
  const tests = wanted.map((match) => compileStringMatch(match));
  return (subjectAltName) => uriSans(subjectAltName).some((san) => tests.some((test) => test(san)));
}

// What is odd about an object that was taken, as Kubernetes tells it: kubectl prints `Warning` headers.

import type { Commit } from '../../config-store/config-store.ts';
import { type ObjectRef, type Problem, refKey, shownKind } from '@weft/mesh-core/model';

/** One value of the header for each finding about `ref`, the worst first (RFC 7234, 5.5; Kubernetes uses code 299). */
export function warningsOf(problems: readonly Problem[], ref: ObjectRef): string[] {
  const order = ['error', 'warning'];
  return problems
    .filter((p) => order.includes(p.severity) && p.ref !== undefined && refKey(p.ref) === refKey(ref))
    .toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
    .map(({ code, path, message }) => warningOf(`${code} ${path === undefined ? '' : `${path}: `}${message}`));
}

/** One value of the header. */
export function warningOf(text: string): string {
  return `299 - "${quoted(text)}"`;
}

/** So many are named. */
const NAMED = 5;

/** What went with an object, and how to have it back; undefined where it went alone. */
export function deletedWith({ changes, revision }: Commit, ref: ObjectRef, dryRun: boolean): string | undefined {
  const names = changes.filter((c) => refKey(c.ref) !== refKey(ref)).map((c) => `${shownKind(c.ref.kind)}/${c.ref.name}`);
  if (names.length === 0) return undefined;
  const list = names.length <= NAMED ? names.join(', ') : `${names.slice(0, NAMED).join(', ')} and ${names.length - NAMED} more`;
  return dryRun
    ? `${list} would be deleted with it`
    : `deleted with it: ${list}; undoing revision ${revision} (POST /api/v1/revisions/${revision}/undo) brings all back`;
}

/** As a quoted-string; what is no ASCII must not be in a header. */
const quoted = (text: string): string => text.replaceAll(/[\\"]/g, '\\$&').replaceAll(/[^\x20-\x7e]/g, '?');

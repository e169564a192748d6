// What is odd about an object that was taken, as Kubernetes tells it: kubectl prints `Warning` headers.

import { type ObjectRef, type Problem, refKey } from '@weft/mesh-core/model';

/** One value of the header for each finding about `ref`, the worst first (RFC 7234, 5.5; Kubernetes uses code 299). */
export function warningsOf(problems: readonly Problem[], ref: ObjectRef): string[] {
  const order = ['error', 'warning'];
  return problems
    .filter((p) => order.includes(p.severity) && p.ref !== undefined && refKey(p.ref) === refKey(ref))
    .toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
    .map(({ code, path, message }) => `299 - "${quoted(`${code} ${path === undefined ? '' : `${path}: `}${message}`)}"`);
}

/** As a quoted-string; what is no ASCII must not be in a header. */
const quoted = (text: string): string => text.replaceAll(/[\\"]/g, '\\$&').replaceAll(/[^\x20-\x7e]/g, '?');

// Envoy's path templates (envoy.path.match.uri_template): `*` is one segment, `**` anything.

import { compileRegex, type StringPredicate } from './string-match.ts';

/** What a path may be made of there; everything else makes it match nothing. */
const literal = "a-zA-Z0-9-._~%!$&'()+,;:@=*";
const segmentPattern = /^[a-zA-Z0-9\-._~%!$&'()+,;:@=]*$/;

/** Undefined for what is no template, or has variables: nobody writes those. */
export function compilePathTemplate(template: string): StringPredicate | undefined {
  if (!template.startsWith('/') || template.length > 256) return undefined;
  const segments = template.slice(1).split('/');
  const globs = segments.indexOf('**');
  // As in Envoy: nothing but names behind a `**`, and nothing empty but at the end.
  if (globs >= 0 && segments.slice(globs + 1).some((segment) => segment === '*' || segment === '**')) return undefined;
  if (segments.slice(0, -1).includes('')) return undefined;
  const parts: string[] = [];
  for (const segment of segments) {
    if (segment === '*') parts.push(`[${literal}]+`);
    else if (segment === '**') parts.push(`[${literal}/]*`);
    else if (segmentPattern.test(segment)) parts.push(segment.replaceAll(/[^a-zA-Z0-9]/g, String.raw`\$&`));
    else return undefined;
  }
  const regex = compileRegex(`/${parts.join('/')}`);
  return (path) => regex.testExact(path);
}

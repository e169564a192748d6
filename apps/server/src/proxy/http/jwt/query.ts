// Parameters in the query of a path, by their decoded names.

/** Decoded; undefined = none. */
export function firstParameter(path: string, name: string): string | undefined {
  for (const part of parts(path)) {
    const equals = part.indexOf('=');
    if (decoded(equals < 0 ? part : part.slice(0, equals)) === name) return equals < 0 ? '' : decoded(part.slice(equals + 1));
  }
  return undefined;
}

/** The path without any of that name; the others stay as they are. */
export function withoutParameter(path: string, name: string): string {
  const kept = parts(path).filter((part) => decoded(part.split('=')[0] ?? '') !== name);
  const bare = path.slice(0, path.indexOf('?'));
  return kept.length === 0 ? bare : `${bare}?${kept.join('&')}`;
}

function parts(path: string): string[] {
  const start = path.indexOf('?');
  return start < 0 ? [] : path.slice(start + 1).split('&');
}

/** Bytes as latin1, like everything of a head; what is no escape stays. */
function decoded(text: string): string {
  return !text.includes('%') ? text : text.replaceAll(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

// Field lines as text, `name: value` and a line end each, as heads and trailers are kept.

/** The value of the first line of that name, where names are in lower case, as in HTTP/2. */
export function fieldOf(lines: string, name: string): string | undefined {
  const prefix = `${name}: `;
  return lines
    .split('\r\n')
    .find((line) => line.startsWith(prefix))
    ?.slice(prefix.length);
}

/** Whether one of these lines has that name, in lower case. */
export function hasLine(lines: string, name: string): boolean {
  return lines !== '' && (lines.startsWith(`${name}:`) || lines.includes(`\n${name}:`));
}

/** Compiled; there are as many as configurations have named. */
const patterns = new Map<string, RegExp>();

/** Values of all lines of that name, whatever its case. */
export function valuesIn(lines: string, name: string): string[] {
  let pattern = patterns.get(name);
  if (pattern === undefined) patterns.set(name, (pattern = new RegExp(`^${name.replaceAll(/[^\w-]/g, '\\$&')}:[ \t]*(.*?)[ \t]*\r$`, 'gim')));
  return Array.from(lines.matchAll(pattern), ([, value = '']) => value);
}

/** The lines of other names, whatever their case. */
export function without(lines: string, names: readonly string[]): string {
  return lines.replaceAll(new RegExp(`^(?:${names.join('|')}):.*\r\n`, 'gim'), '');
}

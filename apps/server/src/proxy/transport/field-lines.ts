// Field lines as text: `name: value` and a line end each, as the heads and trailers of HTTP/2 are kept: names in lower case.

/** The value of the first line of that name. */
export function fieldOf(lines: string, name: string): string | undefined {
  const prefix = `${name}: `;
  return lines
    .split('\r\n')
    .find((line) => line.startsWith(prefix))
    ?.slice(prefix.length);
}

// Times as Envoy's formats write them, compiled once: strftime in UTC, and Envoy's own `%s` (seconds since 1970) and `%3f` (digits of
// the second).

const two = (value: number): string => String(value).padStart(2, '0');
const TIMES: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getUTCFullYear()),
  m: (date) => two(date.getUTCMonth() + 1),
  d: (date) => two(date.getUTCDate()),
  H: (date) => two(date.getUTCHours()),
  M: (date) => two(date.getUTCMinutes()),
  S: (date) => two(date.getUTCSeconds()),
  F: (date) => date.toISOString().slice(0, 10),
  T: (date) => date.toISOString().slice(11, 19),
  a: (date) => date.toUTCString().slice(0, 3),
  b: (date) => date.toUTCString().slice(8, 11),
  e: (date) => String(date.getUTCDate()).padStart(2, ' '),
  y: (date) => two(date.getUTCFullYear() % 100),
  z: () => '+0000',
  Z: () => 'UTC',
  s: (date) => String(Math.floor(date.getTime() / 1000)),
  '%': () => '%',
};

/** Of ms since 1970. Without a format as ISO 8601; undefined = one that is not known here. */
export function compileTime(format: string | undefined): ((ms: number) => string) | undefined {
  if (format === undefined || format === '') return (ms) => new Date(ms).toISOString();
  // Every other part is what stood behind a percent sign.
  const parts = format.split(/%(\d?f|.)/).map((part, i) => {
    if (i % 2 === 0) return () => part;
    if (!part.endsWith('f')) return TIMES[part];
    const digits = part === 'f' ? 9 : Number(part[0]);
    return (_: Date, ms: number) =>
      String(Math.floor((ms % 1000) * 1_000_000))
        .padStart(9, '0')
        .slice(0, digits);
  });
  if (!parts.every((part) => part !== undefined)) return undefined;
  return (ms) => {
    const date = new Date(ms);
    return parts.map((part) => part(date, ms)).join('');
  };
}

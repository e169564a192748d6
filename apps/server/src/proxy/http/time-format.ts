// Times as Envoy's formats write them, compiled once: strftime in UTC or in local time, and Envoy's own `%s` (seconds since 1970) and `%3f` (digits of
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
  Z: () => 'UTC',
  '%': () => '%',
};

/** Those that need more than the date as it is shown. */
const OF_ZONE: Readonly<Record<string, (ms: number, offset: number) => string>> = {
  z: (_, offset) => `${offset > 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`,
  s: (ms) => String(Math.floor(ms / 1000)),
};

/** Of ms since 1970. Without a format as ISO 8601, the offset of a local time behind it; undefined = one that is not known here. */
export function compileTime(given: string | undefined, local = false): ((ms: number) => string) | undefined {
  if (!given && !local) return (ms) => new Date(ms).toISOString();
  const format = given || '%FT%T.%3f%z';
  // Every other part is what stood behind a percent sign.
  const parts = format.split(/%(\d?f|.)/).map((part, i) => {
    if (i % 2 === 0) return () => part;
    const ofZone = OF_ZONE[part];
    if (ofZone !== undefined) return (_: Date, ms: number, offset: number) => ofZone(ms, offset);
    // Node has no short names of time zones.
    if (part === 'Z' && local) return undefined;
    if (!part.endsWith('f')) return TIMES[part];
    const digits = part === 'f' ? 9 : Number(part[0]);
    return (_: Date, ms: number) =>
      String(Math.floor((ms % 1000) * 1_000_000))
        .padStart(9, '0')
        .slice(0, digits);
  });
  if (!parts.every((part) => part !== undefined)) return undefined;
  return (ms) => {
    const offset = local ? new Date(ms).getTimezoneOffset() : 0;
    const date = new Date(ms - offset * 60_000);
    return parts.map((part) => part(date, ms, offset)).join('');
  };
}

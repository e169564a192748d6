/** Requests per second for people: `42.1 /s`. */
export function rate(perSecond: number): string {
  return `${perSecondText(perSecond)} /s`;
}
/** Without its unit. What is not nothing does not read as nothing. */
export function perSecondText(value: number): string {
  if (value >= 100) return String(Math.round(value));
  if (value >= 0.1 || value <= 0) return value.toFixed(1);
  return value < 0.01 ? '<0.01' : value.toFixed(2);
}
/** A share 0-1 as `1.8 %`. */
export function percent(share: number): string {
  return share === 0 ? '0 %' : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
/** Milliseconds; `–` for "no sample" (negative). */
export function millis(ms: number): string {
  if (ms < 0) return '–';
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(2)} s`;
  return ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`;
}
/** The colour token of a version, by its place. */
export function seriesColor(index: number): string {
  return `var(--s${(index % 6) + 1})`;
}
/** Local time of day, `14:04:51`, with milliseconds when asked. */
export function clock(unixMs: number, withMs = false): string {
  const date = new Date(unixMs);
  const time = date.toTimeString().slice(0, 8);
  return withMs ? `${time}.${String(date.getMilliseconds()).padStart(3, '0')}` : time;
}
/** Envoy's span names without the part every service of a mesh has: `reviews.bookinfo.svc.cluster.local:9080/*` as `reviews.bookinfo:9080/*`. */
export function shortOperation(name: string): string {
  return name.replace(/\.svc\.[a-z0-9.-]+(?=[:/]|$)/, '');
}
/** A time to come, in the one unit that matters: `23 h`. */
export function untilWords(unixMs: number): string {
  const ms = unixMs - Date.now();
  if (ms <= 0) return 'no time: it has ended';
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60 ? `${minutes} min` : minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1_440)} d`;
}
/** Bytes per second: `1.2 kB/s`. */
export function byteRate(perSecond: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let value = perSecond;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}/s`;
}
/** Requests per second and the bytes of TCP, or the one there is. */
export function traffic(rps: number, tcpBytes: number): string {
  if (tcpBytes <= 0) return rate(rps);
  return rps <= 0 ? byteRate(tcpBytes) : `${rate(rps)}, ${byteRate(tcpBytes)}`;
}
/** Colour of a response code by its class, so that failures look like failures. */
export function codeColor(code: string, index: number): string {
  if (code.startsWith('4')) return 'var(--g-warn)';
  if (/^[05-]/.test(code)) return 'var(--g-err)';
  return index % 2 === 0 ? 'var(--g-ok)' : 'var(--s4)';
}

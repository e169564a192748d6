/** Requests per second for people: `42.1 /s`. */
export function rate(perSecond: number): string {
  return `${perSecond >= 100 ? Math.round(perSecond) : perSecond.toFixed(1)} /s`;
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

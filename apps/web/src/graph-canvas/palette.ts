const TOKENS = {
  text: '--text',
  text2: '--text-2',
  text3: '--text-3',
  ok: '--g-ok',
  warn: '--g-warn',
  err: '--g-err',
  idle: '--g-idle',
  node: '--node',
  nodeLine: '--node-line',
  nsFill: '--ns-fill',
  nsLine: '--ns-line',
  surface: '--surface',
  accent: '--accent',
  onAccent: '--on-accent',
  grid: '--grid',
} as const;
export type Palette = Record<keyof typeof TOKENS, string>;

/** The colour tokens as the page has them now; canvases know no custom properties. */
export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(Object.entries(TOKENS).map(([name, token]) => [name, style.getPropertyValue(token).trim()])) as Palette;
}
/** Line colour by index in HEALTH: unknown, idle, healthy, degraded, failing. */
export function healthColor(palette: Palette, health: number): string {
  return [palette.idle, palette.idle, palette.ok, palette.warn, palette.err][health] ?? palette.idle;
}

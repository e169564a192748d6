/**
 * Flags of node for a proxy process. V8 would let each half of the young generation grow to 16 MB; what a request leaves behind is
 * garbage at once, so that a quarter of it collects as cheaply (docs/benchmarks.md).
 */
export const PROXY_FLAGS: readonly string[] = ['--max-semi-space-size=4'];

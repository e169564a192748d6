// What is looked at again and again, for those who watch.

const TICK_MS = 1_000;

/** Calls `tick` each second; where it takes long, for a tenth of the time at most: others have work, too. */
export function every(tick: () => void | Promise<void>, fail: (error: unknown) => void): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout;
  const run = async (): Promise<void> => {
    const began = performance.now();
    try {
      await tick();
    } catch (error) {
      fail(error);
    }
    if (!stopped) wait(Math.max(TICK_MS, 9 * (performance.now() - began)));
  };
  const wait = (ms: number): void => void (timer = setTimeout(() => void run(), ms));
  wait(TICK_MS);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

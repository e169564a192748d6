// Notices when many proxies have come (a start, a restart) and no more are coming: the time to give back what their coming left.

const CROWD = 50;
const QUIET_MS = 5_000;

export interface Crowd {
  /** One more has come. */
  arrived(): void;
  stop(): void;
}

/** Calls `settled` when {@link CROWD} and more have arrived since the last call, and for {@link QUIET_MS} nobody. */
export function watchCrowd(settled: () => void): Crowd {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    arrived: () => {
      count += 1;
      if (count < CROWD) return;
      timer ??= setTimeout(() => {
        timer = undefined;
        count = 0;
        settled();
      }, QUIET_MS).unref();
      timer.refresh();
    },
    stop: () => clearTimeout(timer),
  };
}

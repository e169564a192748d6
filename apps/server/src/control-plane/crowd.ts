// Notices when many proxies come (a start, a restart), which makes much garbage, and when no more are coming: the time to give back what is left of it.

const CROWD = 50;
const QUIET_MS = 5_000;

export interface Crowd {
  /** One more has come. */
  arrived(): void;
  stop(): void;
}

/** Calls `moved` with true when {@link CROWD} have arrived, and with false when then nobody has for {@link QUIET_MS}. */
export function watchCrowd(moved: (coming: boolean) => void): Crowd {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    arrived: () => {
      count += 1;
      if (count < CROWD) return;
      if (timer === undefined) moved(true);
      timer ??= setTimeout(() => {
        timer = undefined;
        count = 0;
        moved(false);
      }, QUIET_MS).unref();
      timer.refresh();
    },
    stop: () => clearTimeout(timer),
  };
}

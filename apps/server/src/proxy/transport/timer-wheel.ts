// Timers of the request path: setting and clearing one is a few pointer writes. One interval drives all, and only while any is set.

const tickMs = 5;
const slots = 1024;

export interface TimerTarget {
  onTimer(timer: WheelTimer): void;
}

export class WheelTimer {
  readonly target: TimerTarget;
  rounds = 0;
  slot = -1;
  previous: WheelTimer | undefined;
  next: WheelTimer | undefined;

  constructor(target: TimerTarget) {
    this.target = target;
  }

  get active(): boolean {
    return this.slot >= 0;
  }
}

export class TimerWheel {
  private readonly heads: (WheelTimer | undefined)[] = Array.from({ length: slots }, () => undefined);
  private readonly clock: () => number;
  private interval: NodeJS.Timeout | undefined;
  private count = 0;
  private cursor = 0;
  private cursorAt = 0;
  /** The latest reading of the clock: with a timer set, no older than a tick unless one event took longer. */
  recent = 0;

  constructor(clock: () => number) {
    this.clock = clock;
  }

  /** Reads the clock. */
  now(): number {
    return (this.recent = this.clock());
  }

  /** (Re)arms: fires once after `ms`, a tick or two of 5 ms later. The clock is not read: a request sets half a dozen timers. */
  set(timer: WheelTimer, ms: number): void {
    this.clear(timer);
    if (this.count === 0) {
      this.cursorAt = this.now();
      this.interval = setInterval(() => this.turn(), tickMs).unref();
    }
    const ticks = Math.ceil((this.recent - this.cursorAt + ms) / tickMs) + 1;
    const slot = (this.cursor + ticks) % slots;
    timer.rounds = Math.floor((ticks - 1) / slots);
    timer.slot = slot;
    timer.previous = undefined;
    timer.next = this.heads[slot];
    if (timer.next !== undefined) timer.next.previous = timer;
    this.heads[slot] = timer;
    this.count++;
  }

  clear(timer: WheelTimer): void {
    if (timer.slot < 0) return;
    if (timer.previous !== undefined) timer.previous.next = timer.next;
    else this.heads[timer.slot] = timer.next;
    if (timer.next !== undefined) timer.next.previous = timer.previous;
    timer.slot = -1;
    timer.previous = timer.next = undefined;
    if (--this.count === 0 && this.interval !== undefined) {
      clearInterval(this.interval);
      this.interval = undefined;
    }
  }

  private turn(): void {
    const now = this.now();
    while (this.count > 0 && this.cursorAt + tickMs <= now) {
      this.cursor = (this.cursor + 1) % slots;
      this.cursorAt += tickMs;
      const fired: WheelTimer[] = [];
      for (let timer = this.heads[this.cursor]; timer !== undefined; timer = timer.next) {
        if (timer.rounds === 0) fired.push(timer);
        else timer.rounds--;
      }
      for (const timer of fired) {
        // An earlier timer of this turn may have cleared or re-armed it.
        if (timer.slot !== this.cursor) continue;
        this.clear(timer);
        timer.target.onTimer(timer);
      }
    }
  }
}

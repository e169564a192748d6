// Timers of the request path: setting and clearing one is a few pointer writes. One interval drives all while timers are being set;
// after that the wheel rests until the first of them is due, so that a proxy without traffic does nothing.

const tickMs = 5;
const slots = 1024;
/** Ticks without a timer set after which the wheel rests. */
const quietTicks = 50;
/** What setTimeout takes at most. */
const longestRestMs = 2 ** 31 - 1;

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
  /** Drives the turns, or ends a rest. */
  private driver: NodeJS.Timeout | undefined;
  private turning = false;
  private quiet = 0;
  private count = 0;
  private cursor = 0;
  private cursorAt = 0;
  private latest = 0;

  constructor(clock: () => number) {
    this.clock = clock;
  }

  /** Reads the clock. */
  now(): number {
    return (this.latest = this.clock());
  }

  /** The latest reading of the clock: no older than a tick unless one event took longer. */
  get recent(): number {
    return this.turning ? this.latest : this.now();
  }

  /** (Re)arms: fires once after `ms`, a tick or two of 5 ms later. The clock is not read: a request sets half a dozen timers. */
  set(timer: WheelTimer, ms: number): void {
    this.clear(timer);
    this.quiet = 0;
    if (!this.turning) this.wake();
    const ticks = Math.ceil((this.latest - this.cursorAt + ms) / tickMs) + 1;
    const slot = (this.cursor + ticks) % slots;
    timer.rounds = Math.floor((ticks - 1) / slots);
    timer.slot = slot;
    timer.previous = undefined;
    timer.next = this.heads[slot];
    if (timer.next !== undefined) timer.next.previous = timer;
    this.heads[slot] = timer;
    this.count++;
  }

  /** The same; 0 = never. */
  setUnlessZero(timer: WheelTimer, ms: number): void {
    if (ms > 0) this.set(timer, ms);
    else this.clear(timer);
  }

  clear(timer: WheelTimer): void {
    if (timer.slot < 0) return;
    if (timer.previous !== undefined) timer.previous.next = timer.next;
    else this.heads[timer.slot] = timer.next;
    if (timer.next !== undefined) timer.next.previous = timer.previous;
    timer.slot = -1;
    timer.previous = timer.next = undefined;
    this.count--;
  }

  private wake(): void {
    clearTimeout(this.driver);
    this.driver = setInterval(() => this.turn(), tickMs).unref();
    this.turning = true;
    this.now();
    if (this.count === 0) this.cursorAt = this.latest;
  }

  private rest(): void {
    clearTimeout(this.driver);
    this.turning = false;
    if (this.count === 0) return;
    let ticks = Infinity;
    for (let ahead = 1; ahead <= slots && ahead < ticks; ahead++)
      for (let timer = this.heads[(this.cursor + ahead) % slots]; timer !== undefined; timer = timer.next)
        ticks = Math.min(ticks, ahead + timer.rounds * slots);
    const ms = this.cursorAt + ticks * tickMs - this.latest;
    this.driver = setTimeout(() => this.turn(), Math.min(ms, longestRestMs)).unref();
  }

  private turn(): void {
    const rested = !this.turning;
    // What is set by a timer of this turn is no traffic.
    this.turning = true;
    const now = this.now();
    while (this.count > 0 && this.cursorAt + tickMs <= now) {
      this.cursor = (this.cursor + 1) % slots;
      this.cursorAt += tickMs;
      const head = this.heads[this.cursor];
      if (head === undefined) continue;
      const fired: WheelTimer[] = [];
      for (let timer: typeof head | undefined = head; timer !== undefined; timer = timer.next) {
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
    if (rested || ++this.quiet >= quietTicks) this.rest();
  }
}

// Limits on a request's time that few configurations set: for all of it to arrive, and for request and response together.

import { WheelTimer, type TimerTarget, type TimerWheel } from '../../transport/timer-wheel.ts';

export class RequestLimits implements TimerTarget {
  private readonly arrival = new WheelTimer(this);
  private readonly duration = new WheelTimer(this);
  private readonly wheel: TimerWheel;
  private readonly onLimit: (kind: 'arrival' | 'duration') => void;

  constructor(wheel: TimerWheel, onLimit: (kind: 'arrival' | 'duration') => void) {
    this.wheel = wheel;
    this.onLimit = onLimit;
  }

  /** ms from now; 0 = no limit. */
  setArrival(ms: number): void {
    if (ms > 0) this.wheel.set(this.arrival, ms);
  }

  /** Replaces a limit set before. */
  setDuration(ms: number): void {
    if (ms > 0) this.wheel.set(this.duration, ms);
    else this.wheel.clear(this.duration);
  }

  arrived(): void {
    this.wheel.clear(this.arrival);
  }

  clear(): void {
    this.wheel.clear(this.arrival);
    this.wheel.clear(this.duration);
  }

  onTimer(timer: WheelTimer): void {
    this.onLimit(timer === this.arrival ? 'arrival' : 'duration');
  }
}

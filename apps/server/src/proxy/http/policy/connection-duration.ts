// max_connection_duration: after it a connection takes no more requests and closes as soon as it is idle, at the latest some time
// after the last one it had then.

import { WheelTimer, type TimerTarget, type TimerWheel } from '../../transport/timer-wheel.ts';

export interface DrainableConnection {
  readonly idle: boolean;
  /** The next response is the last. */
  drain(): void;
  close(): void;
}

const idleCheckMs = 1000;

export class ConnectionDuration implements TimerTarget {
  private readonly timer = new WheelTimer(this);
  private readonly wheel: TimerWheel;
  private readonly connection: DrainableConnection;
  private draining = false;

  constructor(connection: DrainableConnection, wheel: TimerWheel, ms: number) {
    this.connection = connection;
    this.wheel = wheel;
    wheel.set(this.timer, ms);
  }

  /** The connection is gone. */
  stop(): void {
    this.wheel.clear(this.timer);
  }

  onTimer(): void {
    if (!this.draining) this.connection.drain();
    this.draining = true;
    if (this.connection.idle) this.connection.close();
    else this.wheel.set(this.timer, idleCheckMs);
  }
}

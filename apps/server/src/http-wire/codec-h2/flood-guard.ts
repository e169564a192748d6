// Frames that cost us work and bring no request forward are paid for from a budget; work that does bring one forward refills it.
// Covers rapid reset, SETTINGS, PING, PRIORITY, WINDOW_UPDATE and empty-DATA floods (reliability-security.md G31).

const capacity = 1000;
const perMs = 0.1;

export class FloodGuard {
  private readonly clock: () => number;
  private budget = capacity;
  private at: number;

  constructor(clock: () => number) {
    this.clock = clock;
    this.at = clock();
  }

  /** False = the peer is abusing the connection. */
  spend(cost: number): boolean {
    this.budget -= cost;
    if (this.budget >= 0) return true;
    const now = this.clock();
    this.budget = Math.min(capacity, this.budget + (now - this.at) * perMs);
    this.at = now;
    return this.budget >= 0;
  }

  earn(amount: number): void {
    if (this.budget < capacity) this.budget += amount;
  }
}

// How many there were within an interval, by tenths of it: the oldest tenth is forgotten as a whole, as by Envoy's retry budget.

const SLOTS = 10;

export class RecentCount {
  readonly intervalMs: number;
  private readonly slotMs: number;
  private readonly slots: number[] = Array.from({ length: SLOTS }, () => 0);
  private slot = 0;
  private total = 0;

  constructor(intervalMs: number) {
    this.intervalMs = intervalMs;
    this.slotMs = intervalMs / SLOTS;
  }

  add(now: number): void {
    this.advance(now);
    const at = this.slot % SLOTS;
    this.slots[at] = (this.slots[at] ?? 0) + 1;
    this.total++;
  }

  count(now: number): number {
    this.advance(now);
    return this.total;
  }

  private advance(now: number): void {
    const slot = Math.floor(now / this.slotMs);
    for (let gone = 0; this.slot < slot && gone < SLOTS; gone++) {
      this.slot++;
      const at = this.slot % SLOTS;
      this.total -= this.slots[at] ?? 0;
      this.slots[at] = 0;
    }
    this.slot = slot;
  }
}

// Earliest deadline first: the schedule behind weighted choices. An entry comes again after 1/weight; the weight is asked for
// at each turn, so it may depend on load.

interface Entry<T> {
  deadline: number;
  /** Equal deadlines keep their order. */
  order: number;
  item: T;
}

export class EdfSchedule<T> {
  private readonly heap: Entry<T>[] = [];
  private readonly weightOf: (item: T) => number;
  private now = 0;
  private order = 0;
  private started = false;

  /** Weights must be above 0. */
  constructor(items: readonly T[], weightOf: (item: T) => number) {
    this.weightOf = weightOf;
    for (const item of items) {
      this.heap.push({ deadline: 1 / weightOf(item), order: this.order++, item });
      this.up(this.heap.length - 1);
    }
  }

  /** Starts anywhere in the cycle, so that many proxies rebuilt at once do not all begin with the same item. */
  next(random: () => number): T | undefined {
    if (!this.started) {
      this.started = true;
      for (let skip = Math.floor(random() * this.heap.length); skip > 0; skip--) this.turn();
    }
    return this.turn();
  }

  private turn(): T | undefined {
    const top = this.heap[0];
    if (top === undefined) return undefined;
    this.now = top.deadline;
    top.deadline = this.now + 1 / this.weightOf(top.item);
    top.order = this.order++;
    this.down(0);
    return top.item;
  }

  private before(a: Entry<T>, b: Entry<T>): boolean {
    return a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order);
  }

  private up(index: number): void {
    const { heap } = this;
    for (let i = index; i > 0;) {
      const parent = (i - 1) >> 1;
      const [child, above] = [heap[i], heap[parent]];
      if (child === undefined || above === undefined || !this.before(child, above)) return;
      heap[i] = above;
      heap[parent] = child;
      i = parent;
    }
  }

  private down(index: number): void {
    const { heap } = this;
    for (let i = index; ;) {
      let least = i;
      for (let child = 2 * i + 1; child <= 2 * i + 2; child++) {
        const [a, b] = [heap[child], heap[least]];
        if (a !== undefined && b !== undefined && this.before(a, b)) least = child;
      }
      const [top, other] = [heap[i], heap[least]];
      if (least === i || top === undefined || other === undefined) return;
      heap[i] = other;
      heap[least] = top;
      i = least;
    }
  }
}

// What filters count, under Envoy's names. A new configuration goes on with the counts of the old one.

export interface Counter {
  value: number;
}

export class Counters {
  private readonly all = new Map<string, Counter>();

  of(name: string): Counter {
    let counter = this.all.get(name);
    if (counter === undefined) this.all.set(name, (counter = { value: 0 }));
    return counter;
  }

  values(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.all].map(([name, { value }]) => [name, value]));
  }
}

// Output leaves once per turn of the event loop, after all sockets that were readable have been read. On a multiplexed connection one
// write (and one TLS record) then carries what many requests had to say; and who reads the writes of one turn, one behind the other,
// sleeps and is woken less often than between writes with the work of a request in the middle (docs/benchmarks-notes.md).

export interface Flushable {
  flushNow(): void;
}

let waiting: Flushable[] = [];

export function flushSoon(target: Flushable): void {
  if (waiting.push(target) === 1) setImmediate(flushAll);
}

function flushAll(): void {
  const all = waiting;
  waiting = [];
  for (const target of all) target.flushNow();
}

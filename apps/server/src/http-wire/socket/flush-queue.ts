// Output of multiplexed connections leaves once per turn of the event loop, after all sockets that were readable have been read: one
// write (and one TLS record) then carries what many requests had to say.

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

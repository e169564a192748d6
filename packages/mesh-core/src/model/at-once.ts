// Work in steps, for who has nothing else to do meanwhile.

/** What the steps come to. */
export function atOnce<T>(steps: Iterator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

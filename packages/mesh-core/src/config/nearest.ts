// "Did you mean": the known name closest to a mistyped one.

/** The closest of `known` within a third of the word's length (at least 2 edits), ignoring case; undefined when none is close. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > 100) return undefined;
  const lower = word.toLowerCase();
  let best: string | undefined;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    // The difference of lengths is the least that it takes.
    if (Math.abs(candidate.length - word.length) >= least) continue;
    const distance = edits(lower, candidate.toLowerCase(), least);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** `; did you mean http?` to end a message with; empty when nothing is close. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const meant = nearest(word, known);
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

/** Levenshtein distance, or `enough` and more where it is not less. */
function edits(a: string, b: string, enough: number): number {
  const row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    let diagonal = i - 1;
    let left = i;
    let least = i;
    row[0] = i;
    for (let j = 1; j <= b.length; j += 1) {
      const above = row[j] ?? 0;
      left = Math.min(left + 1, above + 1, diagonal + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1));
      diagonal = above;
      row[j] = left;
      if (left < least) least = left;
    }
    // No row has less than the one before.
    if (least >= enough) return least;
  }
  return row[b.length] ?? 0;
}

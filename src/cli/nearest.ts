/** Damerau-Levenshtein distance: letters added, removed, replaced, or swapped with their neighbour. */
export function editDistance (a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      row[j] = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1))
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) row[j] = Math.min(row[j], before[j - 2] + 1)
    }
    before = above
    above = row
  }
  return above[b.length]
}

/** The known word nearest to a mistyped one; undefined when none is near. Words that start with it count as near. */
export function nearest (word: string, known: readonly string[]): string | undefined {
  if (word.length > 64) return undefined // the cost grows with the product of the lengths
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate) }))
    .sort((a, b) => a.distance - b.distance)
  const [best] = ranked
  if (best !== undefined && best.distance <= Math.max(1, Math.floor(word.length / 3))) return best.candidate
  return word.length < 3 ? undefined : known.find((candidate) => candidate.startsWith(word))
}

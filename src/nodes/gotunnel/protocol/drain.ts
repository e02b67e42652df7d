/** Settles when the work has; when that takes too long, it is cut short first. */
export async function patiently (work: Promise<unknown>, milliseconds: number, cut: () => void): Promise<void> {
  const timer = setTimeout(cut, milliseconds)
  await work
  clearTimeout(timer)
}

/** Milliseconds as whole seconds, in which limits of RustDesk are counted. */
export const wholeSeconds = (milliseconds: number): number => Math.floor(milliseconds / 1000)

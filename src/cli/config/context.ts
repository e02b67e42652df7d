/** What the settings of a section are loaded with. */
export interface SectionContext {
  /** The name of a key of the section in an error. */
  nameOf (...path: string[]): string
  /** Adds a warning. */
  warn (message: string): void
}

/** What the user of a terminal types for this program and not for the shell: a tilde at the beginning of a line, as for ssh. */

const [CR, LF, DOT, QUESTION, TILDE] = Buffer.from('\r\n.?~')

export const ESCAPES = [
  'Escapes, at the beginning of a line:',
  '  ~.  leave, and end the shell',
  '  ~~  a tilde',
  '  ~?  this text'
]

export interface Typed {
  /** For the shell. */
  readonly bytes: Uint8Array
  readonly wantsHelp: boolean
  /** What follows was dropped. */
  readonly hasLeft: boolean
}

export class EscapeFilter {
  #isLineStart = true
  /** A tilde that was held back. */
  #isPending = false

  push (typed: Uint8Array): Typed {
    const bytes = Buffer.allocUnsafe(typed.length + 1)
    let length = 0
    let wantsHelp = false
    let hasLeft = false
    for (const byte of typed) {
      if (this.#isPending) {
        this.#isPending = false
        hasLeft = byte === DOT
        if (hasLeft) break
        if (byte === QUESTION) {
          wantsHelp = true
          continue
        }
        if (byte !== TILDE) bytes[length++] = TILDE
      } else if (this.#isLineStart && byte === TILDE) {
        this.#isPending = true
        continue
      }
      bytes[length++] = byte
      this.#isLineStart = byte === CR || byte === LF
    }
    return { bytes: bytes.subarray(0, length), wantsHelp, hasLeft }
  }
}

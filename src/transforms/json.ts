/**
 * Messages in JSON, one in each frame.
 *
 * ```ts
 * const control = stack(lengthPrefix(u32be), json({ read: (value) => schema.safeParse(value).data }))
 * ```
 */
import { codec } from '../layer.ts'
import type { Batch, Core, Layer, Link } from '../types.ts'

export interface JsonInit<M> {
  /**
   * Makes a message of a parsed value, checking all of it; undefined for one that is to be skipped. The value is undefined when
   * the frame is no JSON.
   */
  read (value: unknown): M | undefined
  /** Bytes of a frame that is parsed; a larger one is no JSON. Default: any number. */
  maxParsed?: number
}

/** The value of a frame; undefined when it is no JSON. Bytes that are no UTF-8 become U+FFFD. */
export function parseJson (frame: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('utf8'))
  } catch {
    return undefined
  }
}

/** What may end a script, or a line, inside of it. */
const ESCAPED = /[<>&\u2028\u2029]/
const EACH_ESCAPED = new RegExp(ESCAPED, 'g')

/**
 * The text of a value without blanks, its keys in the order in which they were set, in the very bytes of Go's encoder: `<`, `>`,
 * `&`, U+2028 and U+2029 are escaped as well, so that the text is harmless inside HTML.
 */
export function encodeJson (value: object): Buffer {
  let text = JSON.stringify(value)
  // A lone surrogate, or the text `\ud...`: seldom enough for the long way.
  if (text.includes('\\ud')) text = JSON.stringify(value, (_key, part: unknown) => typeof part === 'string' ? part.replaceAll(/\p{Surrogate}/gu, '\ufffd') : part)
  if (ESCAPED.test(text)) text = text.replaceAll(EACH_ESCAPED, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return Buffer.from(text)
}

export class JsonDecoder<M> implements Core<Uint8Array, M> {
  readonly memory = 'copies'
  readonly #read
  readonly #maxParsed: number

  constructor ({ read, maxParsed = Infinity }: JsonInit<M>) {
    this.#read = read
    this.#maxParsed = maxParsed
  }

  push (batch: Batch): Batch<M> {
    const out: Batch<M> = []
    for (const frame of batch) {
      const message = this.#read(frame.length > this.#maxParsed ? undefined : parseJson(frame))
      if (message !== undefined) out.push(message)
    }
    return out
  }
}

/** The layer: frames below, messages above. */
export const json = <In extends object, Out extends object = In>(init: JsonInit<In>): Layer<Link, Link<In, Out>> =>
  codec(() => ({ decode: new JsonDecoder(init), encode: { push: (batch: Batch<Out>) => batch.map(encodeJson) } }))

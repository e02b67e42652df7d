/**
 * JSON messages, one per frame.
 *
 * ```ts
 * const control = stack(lengthPrefix(u32be), json({ read: (value) => schema.safeParse(value).data }))
 * ```
 */
import { codec } from '../layer.ts'
import type { Batch, Core, Layer, Link } from '../types.ts'

/** Options of {@link json}. */
export interface JsonInit<M> {
  /** Validates a parsed value and returns a message; undefined skips the frame. The value is undefined when the frame is not JSON. */
  read (value: unknown): M | undefined
  /** Maximum bytes of a frame that is parsed; a larger one counts as not JSON. Default: no maximum. */
  maxParsed?: number
}

/** The value of a frame; undefined when it is not JSON. Invalid UTF-8 becomes U+FFFD. */
export function parseJson (frame: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('utf8'))
  } catch {
    return undefined
  }
}

/** Characters that may end a script, or a line in it. */
const ESCAPED = /[<>&\u2028\u2029]/
const EACH_ESCAPED = new RegExp(ESCAPED, 'g')

/**
 * The text of a value without white space, keys in insertion order, byte for byte as Go's encoder writes it: `<`, `>`, `&`, U+2028 and
 * U+2029 are escaped as well, so the text is safe inside HTML.
 */
export function encodeJson (value: object): Buffer {
  let text = JSON.stringify(value)
  // A lone surrogate, or the text `\ud...`: rare enough for a slow path.
  if (text.includes('\\ud')) text = JSON.stringify(value, (_key, part: unknown) => typeof part === 'string' ? part.replaceAll(/\p{Surrogate}/gu, '\ufffd') : part)
  if (ESCAPED.test(text)) text = text.replaceAll(EACH_ESCAPED, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return Buffer.from(text)
}

/** Decodes one JSON message a frame, and checks it by a schema. */
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

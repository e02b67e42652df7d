/** Golden bytes of RustDesk, shared with implementations in other languages, and what they were made of. */
import { readVectors, vectorOf, type Vector } from '../vectors.ts'

export const vectors = readVectors('rustdesk')

/** The bytes of a vector. */
export const vector = (name: string): Buffer => vectorOf(vectors, name).bytes

/** Those that are one sound message of a type: `RendezvousMessage`, `IdPk` or `Message`. */
export const messagesOf = (type: string): Vector[] => vectors.filter(({ inputs }) => inputs.type === `hbb.${type}`)

/** What is in a message: from the text form of protobuf in its inputs. Numbers of enums stay names. */
export function contentOf (text: string): Record<string, any> {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[\w-]+|[{}:]/g) ?? []
  let at = 0
  const body = (): Record<string, any> => {
    const fields: Record<string, any> = {}
    const add = (name: string, value: unknown): void => { fields[name] = name in fields ? [fields[name], value].flat() : value }
    while (at < tokens.length && tokens[at] !== '}') {
      const name = tokens[at++]
      if (tokens[at++] === '{') {
        add(name, body())
        at++
      } else {
        const word = tokens[at++]
        add(name, word.startsWith('"') ? unescaped(word.slice(1, -1)) : /^-?\d+$/.test(word) ? Number(word) : word === 'true' ? true : word)
      }
    }
    return fields
  }
  return body()
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t' }

/** As text with a character for each byte. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3}|.)/g, (_, code: string) => code.length === 3 ? String.fromCharCode(parseInt(code, 8)) : ESCAPES[code] ?? code)

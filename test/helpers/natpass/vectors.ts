/** Golden bytes of the protocol, shared with implementations in other languages, and what they were made of. */
import { readFileSync } from 'node:fs'
import { hex } from '../bytes.ts'

interface Vector {
  name: string
  inputs: any
  hex: string
}

export const vectors = JSON.parse(readFileSync(new URL('../../vectors/natpass.json', import.meta.url), 'utf8')) as Vector[]

/** The bytes of a whole frame. */
export function vector (name: string): Buffer {
  const found = vectors.find((vector) => vector.name === name)
  if (found === undefined) throw new Error(`no vector ${name}`)
  return hex(found.hex)
}

/** Those that are a message in a frame, whole and sound. */
export const messages = vectors.filter(({ inputs }) => inputs?.message !== undefined)

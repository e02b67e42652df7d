/** Golden bytes of the protocol, shared with implementations in other languages, and the fields that they were made of. */
import { readFileSync } from 'node:fs'
import { hex } from '../bytes.ts'

interface Vector {
  name: string
  inputs: any
  hex: string
}

export const vectors = JSON.parse(readFileSync(new URL('../../vectors/gotunnel.json', import.meta.url), 'utf8')) as Vector[]

export function vector (name: string): Vector & { bytes: Buffer } {
  const found = vectors.find((vector) => vector.name === name)
  if (found === undefined) throw new Error(`no vector ${name}`)
  return { ...found, bytes: hex(found.hex) }
}

/** Those that are one message in one frame. */
export const messages = vectors.filter(({ inputs }) => 'type' in inputs)

/** The golden messages of gotunnel, and the fields that they were made of. */
import { readFileSync } from 'node:fs'
import { hex } from './bytes.ts'

interface Vector {
  name: string
  hex: string
  inputs: any
}

export const vectors: Vector[] = JSON.parse(readFileSync(new URL('../vectors/gotunnel.json', import.meta.url), 'utf8'))

export function vector (name: string): { bytes: Buffer, inputs: any } {
  const found = vectors.find((v) => v.name === name)
  if (found === undefined) throw new Error(`no vector ${name}`)
  return { bytes: hex(found.hex), inputs: found.inputs }
}

/** Those that are one message in one frame. */
export const messages = vectors.filter(({ inputs }) => 'type' in inputs)

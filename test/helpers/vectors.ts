/** Golden bytes of `test/vectors`, shared with implementations in other languages, and what they were made of. */
import { readFileSync } from 'node:fs'
import { hex } from './bytes.ts'

export interface Vector {
  name: string
  inputs: any
  hex: string
}

/** @param name of the file, without `.json` */
export const readVectors = <T = Vector>(name: string): T[] => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'))

/** @throws when there is none of this name */
export function vectorOf <T extends Pick<Vector, 'name' | 'hex'>> (vectors: readonly T[], name: string): T & { bytes: Buffer } {
  const found = vectors.find((vector) => vector.name === name)
  if (found === undefined) throw new Error(`no vector ${name}`)
  return { ...found, bytes: hex(found.hex) }
}

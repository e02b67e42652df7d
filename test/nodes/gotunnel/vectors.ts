/** Golden bytes of the protocol, shared with implementations in other languages. */
import { readFileSync } from 'node:fs'

interface Vector {
  name: string
  inputs: unknown
  hex: string
}

const all = JSON.parse(readFileSync(new URL('../../vectors/gotunnel.json', import.meta.url), 'utf8')) as Vector[]

export function vector (name: string): Vector {
  const found = all.find((vector) => vector.name === name)
  if (found === undefined) throw new Error(`no vector ${name}`)
  return found
}

/** The golden messages of the candy protocol, and the fields that they were made of. */
import { readFileSync } from 'node:fs'
import { parseAddress, parseCidr, type Cidr } from '../../../src/net/ipv4.ts'
import { hex } from '../bytes.ts'

interface Vector {
  name: string
  hex: string
  inputs: Record<string, any>
}

export const vectors: Vector[] = JSON.parse(readFileSync(new URL('../../vectors/candy.json', import.meta.url), 'utf8'))

export const PASSWORD = 'this is the password'

export function vector (name: string): { bytes: Buffer, inputs: Record<string, any> } {
  const found = vectors.find((v) => v.name === name)
  if (found === undefined) throw new Error(`no vector ${name}`)
  return { bytes: hex(found.hex), inputs: found.inputs }
}

export function address (text: string): number {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}

export function cidr (text: string): Cidr {
  const parsed = parseCidr(text)
  if (parsed === undefined) throw new Error(`not a CIDR: ${text}`)
  return parsed
}

/** The golden messages of the candy protocol, and the fields that they were made of. */
import { parseAddress, parseCidr, type Cidr } from '../../../src/net/ipv4.ts'
import { readVectors, vectorOf, type Vector } from '../vectors.ts'

export const vectors = readVectors('candy')

export const PASSWORD = 'this is the password'

export const vector = (name: string): Vector & { bytes: Buffer } => vectorOf(vectors, name)

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

/** Both implementations of NaCl, and golden bytes for them. */
import { readFileSync } from 'node:fs'
import { naclBy } from '../../../src/crypto/nacl/load.ts'
import { loadNacl, type Nacl } from '../../../src/crypto/index.ts'

export const byTweetNacl: Nacl = await naclBy(() => { throw new Error('not asked for') })
export const byDefault: Nacl = await loadNacl()

/** Why `sodium-native` is not tested, where it is not there. */
export const skip = byDefault.implementation === 'sodium-native' ? false : 'takes sodium-native'

/** What every implementation has to do. */
export const nacls: Array<{ name: string, nacl: Nacl, skip: string | false }> = [
  { name: 'sodium-native', nacl: byDefault, skip },
  { name: 'tweetnacl', nacl: byTweetNacl, skip: false }
]

interface Vector {
  name: string
  hex: string
  file_text?: string
  key?: string
  counter?: number
  plaintext?: string
}

const vectors: Vector[] = JSON.parse(readFileSync(new URL('../../vectors/rustdesk-keys.json', import.meta.url), 'utf8'))

/** A golden vector by its name. */
export function vector (name: string): Vector & { bytes: Buffer } {
  const found = vectors.find((vector) => vector.name === name)
  if (found === undefined) throw new Error(`no vector ${name}`)
  return { ...found, bytes: Buffer.from(found.hex, 'hex') }
}

/** Of all vectors: the seed of the key that signs, the secret keys of server and client, the session key. */
export const SEED = Buffer.from(Array.from({ length: 32 }, (_, i) => i))
export const SERVER_SECRET = Buffer.alloc(32, 1)
export const CLIENT_SECRET = Buffer.alloc(32, 2)
export const SESSION_KEY = Buffer.alloc(32, 0x11)

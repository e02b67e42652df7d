/** Both implementations of NaCl, and golden bytes for them. */
import { readVectors, vectorOf, type Vector } from '../vectors.ts'
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

interface KeyVector extends Omit<Vector, 'inputs'> {
  file_text?: string
  key?: string
  counter?: number
  plaintext?: string
}

const vectors = readVectors<KeyVector>('rustdesk-keys')

/** A golden vector by its name. */
export const vector = (name: string): KeyVector & { bytes: Buffer } => vectorOf(vectors, name)

/** Of all vectors: the seed of the key that signs, the secret keys of server and client, the session key. */
export const SEED = Buffer.from(Array.from({ length: 32 }, (_, i) => i))
export const SERVER_SECRET = Buffer.alloc(32, 1)
export const CLIENT_SECRET = Buffer.alloc(32, 2)
export const SESSION_KEY = Buffer.alloc(32, 0x11)

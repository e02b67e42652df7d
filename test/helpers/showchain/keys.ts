/** Fixed RSA keys, for tests alone: making them takes long. */
import { createPrivateKey } from 'node:crypto'
import { Identity } from '../../../src/nodes/showchain/protocol/identity.ts'
import { readVectors } from '../vectors.ts'

interface KeyVector {
  name: string
  notes: string
  /** SHA-256 of the public key. */
  id: string
  /** DER SubjectPublicKeyInfo, as base64. */
  public: string
  /** PKCS #8, as base64. Missing where nobody signs with it. */
  private?: string
}

const keys = readVectors<KeyVector>('showchain-keys')

/** Of 2048 bits. */
export type KeyName = 'a' | 'b' | 'c' | 'd' | 'e' | 'f' | 'g' | 'h'

/** All of them: also one each of 2056, 3072 and 4096 bits, and those that are refused. */
export type AnyKeyName = KeyName | 'rsa2056' | 'rsa3072' | 'rsa4096' | 'rsa1024' | 'rsa2052' | 'rsa16384' | 'exponent3' | 'rsapss' | 'ec' | 'ed25519'

const vectorOf = (name: AnyKeyName): KeyVector => keys.find((key) => key.name === name) as KeyVector

/** DER SubjectPublicKeyInfo. */
export const publicDer = (name: AnyKeyName): Buffer => Buffer.from(vectorOf(name).public, 'base64')

export const privateKey = (name: AnyKeyName) => createPrivateKey({ key: Buffer.from(vectorOf(name).private as string, 'base64'), format: 'der', type: 'pkcs8' })

const identities = new Map<AnyKeyName, Identity>()

/** An identity of a fixed key, one object for each name. */
export function identity (name: Exclude<AnyKeyName, 'rsa1024' | 'rsa2052' | 'rsa16384' | 'exponent3' | 'rsapss' | 'ec' | 'ed25519'>): Identity {
  const made = identities.get(name) ?? new Identity(privateKey(name))
  identities.set(name, made)
  return made
}

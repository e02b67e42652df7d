/** SHA-256 by `node:crypto`. */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'
import type { Hmac, Sha256 } from './sha256.ts'

export class NodeSha256 implements Sha256 {
  readonly implementation = 'node:crypto'
  readonly problem: Sha256['problem']

  constructor (problem: Sha256['problem']) { this.problem = problem }

  digest (bytes: Uint8Array, from: number, length: number, into: Uint8Array, at: number): void {
    into.set(hash('sha256', bytes.subarray(from, from + length), 'buffer'), at)
  }

  hmac (key: Uint8Array): Hmac { return new NodeHmac(key) }
}

class NodeHmac implements Hmac {
  readonly #key: KeyObject

  constructor (key: Uint8Array) { this.#key = createSecretKey(key) }

  sign (bytes: Uint8Array, from: number, length: number, into: Uint8Array, at: number): void {
    into.set(createHmac('sha256', this.#key).update(bytes.subarray(from, from + length)).digest(), at)
  }
}

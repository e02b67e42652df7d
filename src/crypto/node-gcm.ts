/** AES-256-GCM by `node:crypto`: an object for each datagram. */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Gcm } from './gcm.ts'
import { IV_BYTES, TAG_BYTES } from './layout.ts'

const ALGORITHM = 'aes-256-gcm'

const part = ({ buffer, byteOffset }: Uint8Array, at: number, length: number): Uint8Array => new Uint8Array(buffer, byteOffset + at, length)

export class NodeGcm implements Gcm {
  readonly #key: Uint8Array

  constructor (key: Uint8Array) { this.#key = Uint8Array.from(key) }

  seal (bytes: Uint8Array, iv: number, tag: number, text: number, length: number): boolean {
    const cipher = createCipheriv(ALGORITHM, this.#key, part(bytes, iv, IV_BYTES), { authTagLength: TAG_BYTES })
    bytes.set(cipher.update(part(bytes, text, length)), text)
    cipher.final()
    bytes.set(cipher.getAuthTag(), tag)
    return true
  }

  open (bytes: Uint8Array, iv: number, tag: number, text: number, length: number): boolean {
    const decipher = createDecipheriv(ALGORITHM, this.#key, part(bytes, iv, IV_BYTES), { authTagLength: TAG_BYTES })
    const opened = decipher.setAuthTag(part(bytes, tag, TAG_BYTES)).update(part(bytes, text, length))
    try {
      decipher.final()
    } catch {
      opened.fill(0)
      return false
    }
    bytes.set(opened, text)
    return true
  }

  close (): void { this.#key.fill(0) }
}

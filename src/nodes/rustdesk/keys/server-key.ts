/** The key of a server by its option `key`: what clients have to send, and what the server signs with. */
import { timingSafeEqual } from 'node:crypto'
import { NACL_KEY_BYTES, type KeyPair, type Nacl } from '../../../crypto/nacl/index.ts'
import { loadKeyFiles, readKeyFiles, type StoredKey } from './key-files.ts'
import { bytesOfText, isSecretText, keyText, pairOfText } from './key-text.ts'

/** A text that clients have to send, compared in constant time. */
export class LicenceKey {
  readonly text: string
  readonly #wanted: Buffer
  readonly #given: Buffer

  constructor (text: string) {
    this.text = text
    this.#wanted = Buffer.from(text)
    this.#given = Buffer.alloc(this.#wanted.length)
  }

  /** Whether it is this text. Its length is no secret. */
  matches (text: string): boolean {
    if (Buffer.byteLength(text) !== this.#wanted.length) return false
    this.#given.write(text)
    return timingSafeEqual(this.#given, this.#wanted)
  }
}

/** The key of a server. */
export interface ServerKey {
  /** What clients have to send; undefined when they need none. */
  readonly licence: LicenceKey | undefined
  /** What the server signs with; undefined when it signs nothing. */
  readonly pair: KeyPair | undefined
  /** The files of the pair, where it is that of files. */
  readonly files: StoredKey | undefined
}

/** Options of {@link serverKey}. */
export interface ServerKeyInit {
  nacl: Nacl
  /**
   * As the originals take it. Empty: clients need no key. `-` or `_`: they have to send the public key of the files. The base64 of a secret
   * key: they have to send its public key. Another text: they have to send that; when it is the public key of the files, those sign.
   */
  key: string
  /** Of the key files. */
  folder: string
  /** It signs, so an empty key takes the files as well. A relay does not. */
  signs: boolean
}

/**
 * Finds out what a `key` is, and reads or makes the files where they are needed.
 *
 * @throws {RustdeskKeyError}
 */
export async function serverKey ({ nacl, key, folder, signs }: ServerKeyInit): Promise<ServerKey> {
  if (key === '') return signs ? withFiles(await loadKeyFiles(nacl, folder), false) : { licence: undefined, pair: undefined, files: undefined }
  if (key === '-' || key === '_') return withFiles(await loadKeyFiles(nacl, folder), true)
  if (isSecretText(key)) {
    const pair = pairOfText(nacl, key, 'the option key', 'ERR_RUSTDESK_KEY')
    return { licence: new LicenceKey(keyText(pair.publicKey)), pair, files: undefined }
  }
  // only a text that may be a public key depends on the files, so that broken ones do no harm to others
  const files = bytesOfText(key, NACL_KEY_BYTES) === undefined ? undefined : await readKeyFiles(nacl, folder)
  if (files?.publicText === key) return withFiles(files, true)
  return { licence: new LicenceKey(key), pair: undefined, files: undefined }
}

const withFiles = (files: StoredKey, isRequired: boolean): ServerKey => ({ licence: isRequired ? new LicenceKey(files.publicText) : undefined, pair: files.pair, files })

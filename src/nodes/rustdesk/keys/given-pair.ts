/** A pair that is given as two texts, as by the environment of a container. */
import { NACL_KEY_BYTES, type Nacl } from '../../../crypto/nacl/index.ts'
import { RustdeskKeyError } from './key-error.ts'
import { PUBLIC_FILE, readKeyFiles, readPublicFile, storePair } from './key-files.ts'
import { bytesOfText, keyText, pairOfText } from './key-text.ts'

/** One half of a pair. */
export interface GivenKey {
  readonly text: string
  /** What has it, as errors tell. */
  readonly name: string
}

/** Options of {@link storeGivenPair}. */
export interface GivenPairInit {
  nacl: Nacl
  /** Of the key files. */
  folder: string
  secretKey?: GivenKey | undefined
  publicKey?: GivenKey | undefined
}

/**
 * Writes the pair to the files where there is none. The public file, when there is one, counts before the public key that is given.
 *
 * @returns `other`: there is a pair, and it is another one than the public key that is given
 * @throws {RustdeskKeyError} `ERR_RUSTDESK_KEY` when half of it is missing, or both do not belong together; `ERR_RUSTDESK_KEY_FILE`
 */
export async function storeGivenPair ({ nacl, folder, secretKey, publicKey }: GivenPairInit): Promise<'none' | 'stored' | 'kept' | 'other'> {
  const given = secretKey ?? publicKey
  if (given === undefined) return 'none'
  const found = await readKeyFiles(nacl, folder)
  if (found !== undefined) return publicKey === undefined || isPublicText(publicKey.text, found.pair.publicKey) ? 'kept' : 'other'
  if (secretKey === undefined) throw fault(`${given.name} is of no use without the secret key of the pair: both are needed, or neither`)
  const fileText = await readPublicFile(folder)
  const wanted = fileText === undefined ? publicKey : { text: fileText, name: PUBLIC_FILE }
  if (wanted === undefined) throw fault(`${secretKey.name} is of no use without the public key of the pair: both are needed, or neither`)
  const pair = pairOfText(nacl, secretKey.text.trim(), secretKey.name, 'ERR_RUSTDESK_KEY')
  if (!isPublicText(wanted.text, pair.publicKey)) throw fault(`${wanted.name} is not the public key of ${secretKey.name}`)
  const { publicText } = await storePair(nacl, folder, pair)
  return publicText === keyText(pair.publicKey) ? 'stored' : 'other'
}

function isPublicText (text: string, key: Uint8Array): boolean {
  const bytes = bytesOfText(text.trim(), NACL_KEY_BYTES)
  return bytes !== undefined && Buffer.compare(bytes, key) === 0
}

const fault = (message: string): RustdeskKeyError => new RustdeskKeyError('ERR_RUSTDESK_KEY', message)

/** The files `id_ed25519` and `id_ed25519.pub` of a server. A secret key, and what may be one, is never overwritten. */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyPair, Nacl } from '../../../crypto/nacl/index.ts'
import { errnoOf } from '../../../net/native/errno.ts'
import { RustdeskKeyError } from './key-error.ts'
import { keyText, pairOfText } from './key-text.ts'

/** The file of the secret key in the folder of a server. */
export const SECRET_FILE = 'id_ed25519'

/** The file of the public key beside it. */
export const PUBLIC_FILE = 'id_ed25519.pub'

/** A text has 88 characters, and maybe white space around it. */
const MAX_BYTES = 4096

/** Of pairs until one has a text that is easy to pass on; one in four has. */
const MAX_ATTEMPTS = 300

/** Without waiting for the writer of a pipe. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** What systems say where files have one name only. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']

const ownerOnly = 0o600
const forAll = 0o644

/** The pair of a folder. */
export interface StoredKey {
  readonly pair: KeyPair
  /** What clients are given, the text of the public key. */
  readonly publicText: string
  /** It is new. */
  readonly isNew: boolean
  /** What the public file has: the same key, another one, or it cannot be read or written. Only people read it. */
  readonly publicFile: 'same' | 'other' | 'missing'
}

const codeOf = (err: unknown): string | undefined => (err as NodeJS.ErrnoException).code

/** @param cause an error of the system */
function fault (file: string, what: string, cause?: unknown): RustdeskKeyError {
  const { errno } = (cause ?? {}) as NodeJS.ErrnoException
  return new RustdeskKeyError('ERR_RUSTDESK_KEY_FILE', `${file} ${what}${errno === undefined ? '' : `: ${errnoOf(-errno)[1]}`}`, { cause })
}

/** The text of a file without white space around it; undefined when there is no such file. */
async function readText (file: string): Promise<string | undefined> {
  let handle
  try {
    handle = await open(file, READ)
    if (!(await handle.stat()).isFile()) throw fault(file, 'is no file')
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0)
    if (bytesRead > MAX_BYTES) throw fault(file, `has more than ${MAX_BYTES} bytes, so it is no key`)
    return buffer.toString('utf8', 0, bytesRead).trim()
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return undefined
    throw err instanceof RustdeskKeyError ? err : fault(file, 'cannot be read', err)
  } finally {
    await handle?.close()
  }
}

/** Writes a new file beside it, and hands that to `place`. After a power failure there is the whole text or none. */
async function write (file: string, text: string, mode: number, place: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`
  try {
    const handle = await open(temporary, 'wx', mode)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await place(temporary)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** @returns false when another process was first */
async function writeSecret (file: string, text: string): Promise<boolean> {
  try {
    await write(file, text, ownerOnly, async (temporary) => { // unlike a rename, neither of both replaces anything
      await link(temporary, file).catch((err: unknown) => {
        if (!NO_LINKS.includes(codeOf(err) ?? '')) throw err
        return copyFile(temporary, file, constants.COPYFILE_EXCL)
      })
    })
    return true
  } catch (err) {
    if (codeOf(err) === 'EEXIST') return false
    throw fault(file, 'cannot be written', err)
  }
}

/** The text of the public file, which is written when it is missing. A folder that cannot be written to is no reason not to run. */
async function publicFileOf (folder: string, publicText: string): Promise<StoredKey['publicFile']> {
  const file = join(folder, PUBLIC_FILE)
  try {
    const found = await readText(file)
    if (found !== undefined) return found === publicText ? 'same' : 'other'
    await write(file, publicText, forAll, (temporary) => rename(temporary, file))
    return 'same'
  } catch {
    return 'missing'
  }
}

/**
 * Reads the pair of a folder.
 *
 * @returns undefined when there is none
 * @throws {RustdeskKeyError} `ERR_RUSTDESK_KEY_FILE` when the file cannot be read, or has no key
 */
export async function readKeyFiles (nacl: Nacl, folder: string): Promise<StoredKey | undefined> {
  const file = join(folder, SECRET_FILE)
  const text = await readText(file)
  if (text === undefined) return undefined
  const pair = pairOfText(nacl, text, file, 'ERR_RUSTDESK_KEY_FILE')
  const publicText = keyText(pair.publicKey)
  return { pair, publicText, isNew: false, publicFile: await publicFileOf(folder, publicText) }
}

/**
 * Reads the pair of a folder, and makes one when there is none. Of two processes that make one both get the same.
 *
 * @throws {RustdeskKeyError} `ERR_RUSTDESK_KEY_FILE`
 */
export async function loadKeyFiles (nacl: Nacl, folder: string): Promise<StoredKey> {
  return await readKeyFiles(nacl, folder) ?? await storePair(nacl, folder, newPair(nacl))
}

/**
 * Writes a pair to a folder that has none. When another process was first, it is the pair of that one.
 *
 * @throws {RustdeskKeyError} `ERR_RUSTDESK_KEY_FILE`
 */
export async function storePair (nacl: Nacl, folder: string, pair: KeyPair): Promise<StoredKey> {
  const publicText = keyText(pair.publicKey)
  const file = join(folder, SECRET_FILE)
  if (!await writeSecret(file, keyText(pair.secretKey))) {
    const other = await readKeyFiles(nacl, folder)
    if (other === undefined) throw fault(file, 'came and went while it was written')
    return other
  }
  await rm(join(folder, PUBLIC_FILE), { force: true }).catch(() => {}) // of a pair that is gone
  return { pair, publicText, isNew: true, publicFile: await publicFileOf(folder, publicText) }
}

/** The text of the public file alone; undefined when there is none. @throws {RustdeskKeyError} `ERR_RUSTDESK_KEY_FILE` */
export const readPublicFile = (folder: string): Promise<string | undefined> => readText(join(folder, PUBLIC_FILE))

/** A pair whose public text has no `/` or `:`, which would be taken for a part of an address or path where people paste it. */
export function newPair (nacl: Nacl): KeyPair {
  let pair = nacl.signKeys()
  for (let i = 0; i < MAX_ATTEMPTS && /[/:]/.test(keyText(pair.publicKey)); i++) pair = nacl.signKeys()
  return pair
}

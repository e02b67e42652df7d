/** The file of what a peer is known by, for its owner alone: its machine and its key. */
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Nacl } from '../../../crypto/nacl/index.ts'
import { keyText, pairOfText } from '../../../nodes/rustdesk/keys/index.ts'
import { bytesOfText } from '../../../nodes/rustdesk/keys/key-text.ts'
import { newIdentity, UUID_BYTES, type PeerIdentity } from '../../../nodes/rustdesk/peer/identity.ts'
import { readBounded } from '../../config/bounded-file.ts'
import { makeFolder } from '../../folder.ts'
import { codeOf, explained } from '../../reason.ts'
import { defaultStateDir } from '../../state/state-dir.ts'
import { placeFile } from '../../state/new-file.ts'
import { UsageError } from '../../usage-error.ts'

/** In the folder of state. */
const FILE = 'rustdesk-identity'

const MAX_FILE_BYTES = 4096

/** Two lines: the machine, and the secret key. */
const LINES = /^uuid ([^\s]+)\nkey ([^\s]+)\n?$/

/** @throws {UsageError} when there is no folder of state */
export function identityPath (file: string | undefined, key: string): string {
  if (file !== undefined) return file
  const folder = defaultStateDir()
  if (folder === undefined) throw new UsageError(`${key}: missing, as this user has no home folder, expected a file`)
  return join(folder, FILE)
}

/**
 * Reads the identity of a peer, which is made at its first start.
 *
 * @param key - how the user named the file
 * @throws {UsageError} for a file that others can read, or that has no identity, no text of which is in the message; an error of the system when it
 *   cannot be written
 */
export function loadIdentity (nacl: Nacl, file: string, key: string): PeerIdentity {
  if (statSync(file, { throwIfNoEntry: false }) !== undefined) return readIdentity(nacl, file, key)
  const identity = newIdentity(nacl)
  try {
    makeFolder(dirname(file))
    placeFile(file, `uuid ${keyText(identity.uuid)}\nkey ${keyText(identity.pair.secretKey)}\n`, false)
    return identity
  } catch (err) {
    if (codeOf(err) === 'EEXIST') return readIdentity(nacl, file, key) // another process was first
    throw explained(err, `cannot write ${file}`)
  }
}

function readIdentity (nacl: Nacl, file: string, key: string): PeerIdentity {
  const stat = statSync(file)
  if (!stat.isFile()) throw new UsageError(`${key}: not a file (${JSON.stringify(file)}), expected one with the identity of a peer`)
  if ((stat.mode & 0o077) !== 0) throw new UsageError(`${key}: others can read the key, or write it (${JSON.stringify(file)}), expected mode 600`)
  const [, uuid, secret] = LINES.exec(readBounded(file, key, MAX_FILE_BYTES)) ?? []
  const machine = uuid === undefined ? undefined : bytesOfText(uuid, UUID_BYTES)
  const pair = secret === undefined ? undefined : pairOf(nacl, secret)
  if (machine === undefined || pair === undefined) throw new UsageError(`${key}: not the identity of a peer (${JSON.stringify(file)}), expected one that this program has made`)
  return { uuid: machine, pair }
}

function pairOf (nacl: Nacl, secret: string): PeerIdentity['pair'] | undefined {
  try {
    return pairOfText(nacl, secret, 'the file', 'ERR_RUSTDESK_KEY_FILE')
  } catch {
    return undefined
  }
}

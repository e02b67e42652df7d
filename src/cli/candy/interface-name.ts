/** The default name of the interface of a peer. */
import { createHash } from 'node:crypto'
import { MAX_NAME_LENGTH } from '../../tun/ifreq.ts'

/** Characters of the hash, and of the prefix of the name; 36^5 hashes suffice for the peers of one machine. */
const HASHED = 5
const KEPT = 3

/**
 * `candy`, or `candy-<name>` as with the original client. A name that is too long for Linux is not just cut, as two names may have
 * the same beginning: `office-berlin` becomes `candy-off-` and a hash of the whole name, the same at each start.
 */
export function interfaceOf (name: string | undefined): string {
  if (name === undefined) return 'candy'
  const whole = `candy-${name}`
  return whole.length <= MAX_NAME_LENGTH ? whole : `candy-${name.slice(0, KEPT)}-${hashOf(name)}`
}

function hashOf (name: string): string {
  const number = createHash('sha256').update(name).digest().readUIntBE(0, 6)
  return number.toString(36).padStart(HASHED, '0').slice(-HASHED)
}

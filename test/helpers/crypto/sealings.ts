/** Both implementations of sealing, and datagrams for them. */
import { createHash } from 'node:crypto'
import { NativeError } from '../../../src/net/native/native-error.ts'
import { loadSealing, type Sealing, type SealLayout } from '../../../src/crypto/index.ts'
import { sealingBy } from '../../../src/crypto/sealing.ts'
import { parseAddress } from '../../../src/net/ipv4.ts'

/** Candy protocol, section 2.2. */
export const CANDY: SealLayout = { iv: 0, tag: 12, text: 28 }

/** Candy protocol, section 2.2: the key of a receiver, whose address is reversed. */
export function candyKey (password: string, receiver: string): Buffer {
  const address = Buffer.alloc(4)
  address.writeUInt32LE(parseAddress(receiver) as number)
  return createHash('sha256').update(password).update(address).digest()
}

export const byNode: Sealing = await sealingBy(() => Promise.reject(new NativeError('ERR_NATIVE_KOFFI', 'not asked for')))
export const byDefault: Sealing = await loadSealing()

/** Whether koffi is there, which takes OpenSSL of the process. */
export const hasKoffi = process.platform === 'linux' && await import('koffi').then(() => true, () => false)
export const skip = hasKoffi ? false : 'takes Linux and koffi'

/** What every implementation has to do; that of OpenSSL is skipped where there is no koffi. */
export const sealings: Array<{ name: string, sealing: Sealing, skip: string | false }> = [
  { name: 'node:crypto', sealing: byNode, skip: false },
  { name: 'openssl', sealing: byDefault, skip }
]

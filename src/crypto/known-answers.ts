/** Whether functions of OpenSSL do what `node:crypto` does, tried before they are used. */
import type { OpenSsl } from '../net/native/openssl.ts'
import { IV_BYTES, KEY_BYTES, TAG_BYTES } from './layout.ts'
import { NodeGcm } from './node-gcm.ts'
import { OpenSslGcm } from './openssl-gcm.ts'

const IV = 0
const TAG = IV_BYTES
const TEXT = TAG + TAG_BYTES

/** Of the text: none, less than a block, blocks only, and enough for the code that handles several blocks at once. */
const LENGTHS = [0, 1, 32, 1361]

/** What is different, in words; undefined when nothing is. */
export function selfTest (openssl: OpenSsl): string | undefined {
  const key = Uint8Array.from({ length: KEY_BYTES }, (_, i) => i + 1)
  let ours: OpenSslGcm | undefined
  try {
    ours = new OpenSslGcm(openssl, key)
    for (const [i, length] of LENGTHS.entries()) {
      const wrong = compare(ours, new NodeGcm(key), Uint8Array.from({ length: TEXT + length }, (_, at) => at * 7 + i))
      if (wrong !== undefined) return `${wrong}, ${length} bytes`
    }
  } catch (err) {
    return String(err)
  } finally {
    ours?.close()
  }
}

/** @param plain a datagram with an IV and a text */
function compare (ours: OpenSslGcm, others: NodeGcm, plain: Uint8Array): string | undefined {
  const length = plain.length - TEXT
  const wanted = Buffer.from(plain)
  others.seal(wanted, IV, TAG, TEXT, length)
  const bytes = Uint8Array.from(plain)
  if (!ours.seal(bytes, IV, TAG, TEXT, length) || !wanted.equals(bytes)) return 'it encrypts to something else'
  for (const at of [TAG, TEXT - 1]) {
    const changed = Uint8Array.from(wanted)
    changed[at] ^= 0x80
    if (ours.open(changed, IV, TAG, TEXT, length)) return 'it accepts a wrong tag'
  }
  wanted.set(plain.subarray(TEXT), TEXT)
  if (!ours.open(bytes, IV, TAG, TEXT, length) || !wanted.equals(bytes)) return 'it decrypts to something else'
}

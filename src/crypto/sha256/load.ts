/** Finds out once what makes digests here: functions of OpenSSL itself where they are found and tested, else `node:crypto`. */
import { NodeSha256 } from './node-sha256.ts'
import { FunctionsOfSha256 } from './openssl-sha256.ts'
import { DIGEST_BYTES, type Sha256 } from './sha256.ts'
import { NativeError } from '../../net/native/native-error.ts'
import { loadOpenSslSha256, type OpenSslSha256 } from '../../net/native/openssl-sha256.ts'

/** Of what the test digests: around the ends of blocks, and enough for code that handles several blocks at once. */
const LENGTHS = [0, 1, 55, 56, 63, 64, 65, 128, 1361]

/** Of the keys of the test: none, of a digest, a block, and more. */
const KEY_LENGTHS = [0, 32, 64, 65]

let loaded: Promise<Sha256> | undefined

/** Loads and tests once for each thread. Never rejects: where there is no OpenSSL to call, `problem` tells why. */
export function loadSha256 (): Promise<Sha256> {
  loaded ??= sha256By(loadOpenSslSha256)
  return loaded
}

/** By other functions. Never rejects. */
export async function sha256By (load: () => Promise<OpenSslSha256>): Promise<Sha256> {
  try {
    const sha256 = new FunctionsOfSha256(await load())
    const wrong = difference(sha256)
    if (wrong !== undefined) throw new NativeError('ERR_NATIVE_OPENSSL', `OpenSSL differs from node:crypto: ${wrong}`)
    return sha256
  } catch (err) {
    return new NodeSha256(err instanceof NativeError ? err : new NativeError('ERR_NATIVE_OPENSSL', 'OpenSSL cannot be called', { cause: err }))
  }
}

/** What is different, in words; undefined when nothing is. */
function difference (ours: Sha256): string | undefined {
  const others = new NodeSha256(undefined)
  const [own, other] = [Buffer.alloc(DIGEST_BYTES), Buffer.alloc(DIGEST_BYTES)]
  const bytes = Uint8Array.from({ length: Math.max(...LENGTHS) + 1 }, (_, i) => i * 7)
  for (const length of LENGTHS) {
    ours.digest(bytes, 1, length, own, 0)
    others.digest(bytes, 1, length, other, 0)
    if (!own.equals(other)) return `the digest of ${length} bytes`
    for (const keyLength of KEY_LENGTHS) {
      const key = bytes.subarray(0, keyLength)
      const [ourKey, otherKey] = [ours.hmac(key), others.hmac(key)]
      for (let times = 0; times < 2; times++) { // the first must leave the state of the key as it was
        ourKey.sign(bytes, 1, length, own, 0)
        otherKey.sign(bytes, 1, length, other, 0)
        if (!own.equals(other)) return `the HMAC of ${length} bytes with a key of ${keyLength}`
      }
    }
  }
}

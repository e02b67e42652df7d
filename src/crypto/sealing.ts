/** Finds out once what seals datagrams here: functions of OpenSSL itself where they are found and tested, else `node:crypto`. */
import { NativeError } from '../net/native/native-error.ts'
import { loadOpenSsl, type OpenSsl } from '../net/native/openssl.ts'
import { DatagramCipher, type DatagramCipherInit } from './datagram-cipher.ts'
import type { SealingImplementation } from './gcm.ts'
import { NodeGcm } from './node-gcm.ts'
import { OpenSslGcm } from './openssl-gcm.ts'
import { selfTest } from './known-answers.ts'

/** What seals datagrams in this process. */
export interface Sealing {
  readonly implementation: SealingImplementation
  /** Why it is `node:crypto`: `ERR_NATIVE_KOFFI`, or `ERR_NATIVE_OPENSSL` where OpenSSL is missing or has failed the test. */
  readonly problem: (Error & { code: string }) | undefined
  /**
   * A cipher of its own for a key.
   *
   * @throws {OptionError}
   * @throws {SealingError} `ERR_SEALING_FAILED` when OpenSSL has no memory
   */
  cipher (init: DatagramCipherInit): DatagramCipher
}

let loaded: Promise<Sealing> | undefined

/** Loads and tests once for each thread. Never rejects: where there is no OpenSSL to call, `problem` tells why. */
export function loadSealing (): Promise<Sealing> {
  loaded ??= sealingBy(loadOpenSsl)
  return loaded
}

/** By other functions. Never rejects. */
export async function sealingBy (load: () => Promise<OpenSsl>): Promise<Sealing> {
  try {
    const openssl = await load()
    const wrong = selfTest(openssl)
    if (wrong !== undefined) throw new NativeError('ERR_NATIVE_OPENSSL', `OpenSSL differs from node:crypto: ${wrong}`)
    return { implementation: 'openssl', problem: undefined, cipher: (init) => new DatagramCipher(init, 'openssl', (key) => new OpenSslGcm(openssl, key)) }
  } catch (err) {
    const problem = err instanceof NativeError ? err : new NativeError('ERR_NATIVE_OPENSSL', 'OpenSSL cannot be called', { cause: err })
    return { implementation: 'node:crypto', problem, cipher: (init) => new DatagramCipher(init, 'node:crypto', (key) => new NodeGcm(key)) }
  }
}

/** The functions of OpenSSL for SHA-256 whose state is plain memory, which can be copied. Others of OpenSSL 3 look their algorithm up in each call. */
import { loadKoffi } from './koffi.ts'
import { addressesOf, functionsOf, type Libraries, type Library } from './openssl.ts'

/** Bytes of a `SHA256_CTX`: 28 numbers of 4 bytes. */
export const STATE_BYTES = 112

/** Functions have the arguments of their C namesakes; 1 when they have worked. */
export interface OpenSslSha256 {
  /** `SHA256_Init`. */
  init (state: number): number
  /** `SHA256_Update`. */
  update (state: number, bytes: number, length: number): number
  /** `SHA256_Final`, which wipes the state. */
  final (into: number, state: number): number
  /** The address of the first byte of a view, see `OpenSsl`. */
  address (bytes: Uint8Array): number
}

let loaded: Promise<OpenSslSha256> | undefined

/** Loads it once. Rejects with `ERR_NATIVE_KOFFI`, or with `ERR_NATIVE_OPENSSL` when there is no OpenSSL 3 or later with these functions. */
export function loadOpenSslSha256 (): Promise<OpenSslSha256> {
  loaded ??= loadKoffi().then(sha256Of)
  return loaded
}

/** @throws {NativeError} `ERR_NATIVE_OPENSSL` */
export function sha256Of (libraries: Libraries): OpenSslSha256 { return functionsOf(libraries, bind) }

function bind (libraries: Libraries, library: Library): OpenSslSha256 {
  const addresses = addressesOf(libraries)
  return {
    init: library.func('SHA256_Init', 'int', ['uintptr_t']) as OpenSslSha256['init'],
    update: library.func('SHA256_Update', 'int', ['uintptr_t', 'uintptr_t', 'size_t']) as OpenSslSha256['update'],
    final: library.func('SHA256_Final', 'int', ['uintptr_t', 'uintptr_t']) as OpenSslSha256['final'],
    address: (bytes) => addresses.of(bytes)
  }
}

/**
 * The functions of OpenSSL that encrypt and decrypt, on addresses as numbers: those that the process itself is linked with, else those of
 * the system's library.
 *
 * That a function has the right name does not mean that it does the right thing: who uses these tests them first.
 */
import { loadKoffi } from './koffi.ts'
import { MemoryAddresses } from './memory-addresses.ts'
import { NativeError } from './native-error.ts'

/** The library of a distribution, for a process that exports no functions of its own. */
const SYSTEM_LIBRARY = 'libcrypto.so.3'

/** Functions have the arguments of their C namesakes; an address of 0 is a null pointer. */
export interface OpenSsl {
  /** `EVP_CIPHER_CTX_new`: a new context, 0 when there is no memory for one. */
  newContext (): number
  /** `EVP_CIPHER_CTX_free`, which also wipes the key. */
  freeContext (context: number): void
  /** `EVP_aes_256_gcm`. */
  aes256Gcm (): number
  /** `EVP_CipherInit_ex`: 1 when it has worked. `encrypt` is 1, 0, or -1 for what it was. */
  init (context: number, cipher: number, engine: number, key: number, iv: number, encrypt: number): number
  /** `EVP_Cipher`: the number of bytes; with a null pointer in the place of `from`, 0 when it could finish; else -1. */
  cipher (context: number, into: number, from: number, length: number): number
  /** `EVP_CIPHER_CTX_ctrl`: 1 when it has worked. */
  control (context: number, type: number, argument: number, pointer: number): number
  /** `ERR_clear_error`: empties the thread's queue of errors, in which other code would look for its own. */
  clearErrors (): void
  /** The address of the first byte of a view, whose memory is kept until the next call. See {@link MemoryAddresses}. */
  address (bytes: Uint8Array): number
}

/** The part of koffi in use here. */
export interface Libraries {
  /** `null` is the process itself. Throws when there is none of the name. */
  load (path: string | null): Library
  address (bytes: Uint8Array): bigint
}

export interface Library {
  /** Throws when the library has no such function. An address that no number can hold exactly is returned as a bigint. */
  func (name: string, result: string, parameters: string[]): (...values: number[]) => number | bigint
}

let loaded: Promise<OpenSsl> | undefined

/** Loads it once. Rejects with `ERR_NATIVE_KOFFI`, or with `ERR_NATIVE_OPENSSL` when there is no OpenSSL 3 or later. */
export function loadOpenSsl (): Promise<OpenSsl> {
  loaded ??= loadKoffi().then(openSslOf)
  return loaded
}

/** @throws {NativeError} `ERR_NATIVE_OPENSSL` */
export function openSslOf (libraries: Libraries): OpenSsl { return functionsOf(libraries, bind) }

/**
 * Functions of OpenSSL 3 or later.
 *
 * @throws {NativeError} `ERR_NATIVE_OPENSSL` when there is none, or one of them is missing
 */
export function functionsOf<T> (libraries: Libraries, bind: (libraries: Libraries, library: Library) => T): T {
  try {
    const own = libraries.load(null)
    // A process with other functions of these names, as BoringSSL in Electron, gets no second library beside them.
    const library = has(own, 'EVP_Cipher') ? own : libraries.load(SYSTEM_LIBRARY)
    const major = Number(library.func('OPENSSL_version_major', 'uint', [])())
    if (major < 3) throw unusable(`OpenSSL ${major} is too old`)
    return bind(libraries, library)
  } catch (cause) {
    if (cause instanceof NativeError) throw cause
    throw unusable(`functions of OpenSSL are missing: ${reasonOf(cause)}`, { cause })
  }
}

const unusable = (message: string, options?: ErrorOptions): NativeError => new NativeError('ERR_NATIVE_OPENSSL', message, options)
const reasonOf = (err: unknown): string => err instanceof Error ? err.message : String(err)

function has (library: Library, name: string): boolean {
  try {
    library.func(name, 'int', [])
    return true
  } catch {
    return false
  }
}

function bind (libraries: Libraries, library: Library): OpenSsl {
  const newContext = library.func('EVP_CIPHER_CTX_new', 'uintptr_t', [])
  const freeContext = library.func('EVP_CIPHER_CTX_free', 'void', ['uintptr_t'])
  const aes256Gcm = library.func('EVP_aes_256_gcm', 'uintptr_t', [])
  const clearErrors = library.func('ERR_clear_error', 'void', [])
  const addresses = addressesOf(libraries)
  return {
    newContext: () => exact(newContext()),
    freeContext: (context) => { freeContext(context) },
    aes256Gcm: () => exact(aes256Gcm()),
    // as they are: a function around each would cost as much as an argument
    init: library.func('EVP_CipherInit_ex', 'int', ['uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'int']) as OpenSsl['init'],
    cipher: library.func('EVP_Cipher', 'int', ['uintptr_t', 'uintptr_t', 'uintptr_t', 'uint']) as OpenSsl['cipher'],
    control: library.func('EVP_CIPHER_CTX_ctrl', 'int', ['uintptr_t', 'int', 'int', 'uintptr_t']) as OpenSsl['control'],
    clearErrors: () => { clearErrors() },
    address: (bytes) => addresses.of(bytes)
  }
}

export const addressesOf = (libraries: Libraries): MemoryAddresses => new MemoryAddresses({ address: (bytes) => exact(libraries.address(bytes)) })

/** Of tagged pointers, as Android has them, a number would lose the last bits. */
export function exact (address: number | bigint): number {
  const number = Number(address)
  if (!Number.isSafeInteger(number)) throw unusable('addresses here are larger than numbers can hold')
  return number
}

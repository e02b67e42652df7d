/** koffi, which calls functions of C. The package is optional, and known only here and to what ends the process at once. */
import { NativeError } from './native-error.ts'

export type Koffi = typeof import('koffi').default

/**
 * Loads it; the module is loaded once.
 *
 * @throws {NativeError} `ERR_NATIVE_KOFFI` when that is not possible
 */
export async function loadKoffi (): Promise<Koffi> {
  try {
    return (await import('koffi')).default
  } catch (cause) {
    throw new NativeError('ERR_NATIVE_KOFFI', 'the optional package koffi is not installed: npm install koffi', { cause })
  }
}

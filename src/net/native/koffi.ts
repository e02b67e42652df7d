/** koffi, which calls functions of C. The package is optional, and known only here and to what ends the process at once. */
import { readFileSync } from 'node:fs'
import { NativeError } from './native-error.ts'

export type Koffi = typeof import('koffi').default

/** Of dlfcn.h: only what is loaded already, and never unloaded from then on. */
const RTLD_NOW = 2
const RTLD_NOLOAD = 4
const RTLD_NODELETE = 0x1000

let loaded: Promise<Koffi> | undefined

/**
 * Loads it once for each thread.
 *
 * @throws {NativeError} `ERR_NATIVE_KOFFI` when that is not possible
 */
export function loadKoffi (): Promise<Koffi> {
  loaded ??= load()
  return loaded
}

async function load (): Promise<Koffi> {
  try {
    const koffi = (await import('koffi')).default
    keepLoaded(koffi)
    return koffi
  } catch (cause) {
    throw new NativeError('ERR_NATIVE_KOFFI', 'the optional package koffi is not installed: npm install koffi', { cause })
  }
}

/**
 * Keeps the code of the addon in memory. Node unloads it with the last thread that has loaded it, when handles of its event loop may still
 * be open, whose code it is: the process would crash.
 */
function keepLoaded (koffi: Koffi): void {
  if (process.platform !== 'linux') return // nothing there waits on the event loop by koffi
  const path = /\/\S*koffi\S*\.node$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0]
  if (path !== undefined) koffi.load(null).func('dlopen', 'void *', ['str', 'int'])(path, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE)
}

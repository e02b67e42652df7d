/** Finds out once what does NaCl here: `sodium-native` where it loads, else `tweetnacl`. */
import type { Nacl } from './nacl.ts'
import { loadSodium, sodiumNacl, type Sodium } from './sodium.ts'
import { tweetNacl } from './tweetnacl.ts'

let loaded: Promise<Nacl> | undefined

/** Loads once for each thread. Where `sodium-native` does not load, `problem` tells why. */
export function loadNacl (): Promise<Nacl> {
  loaded ??= naclBy(loadSodium)
  return loaded
}

/** By another way to load libsodium. */
export async function naclBy (load: () => Sodium): Promise<Nacl> {
  try {
    return sodiumNacl(load())
  } catch (problem) {
    return tweetNacl((await import('tweetnacl')).default, problem as Error)
  }
}

/**
 * Where the IVs of sealed datagrams come from. Two datagrams with the same key and IV end the secrecy of AES-GCM: who has both learns the
 * difference of their texts, and can forge tags.
 */
import { randomFillSync } from 'node:crypto'
import { OptionError } from '../errors.ts'
import { IV_BYTES } from './layout.ts'
import { SealingError } from './sealing-error.ts'

/** Writes a new IV of 12 bytes for each datagram. */
export interface IvSource {
  /** @throws {SealingError} `ERR_SEALING_IVS` when there is no further one */
  write (into: Uint8Array, at: number): void
}

/**
 * Datagrams that may be sealed under one key with random IVs, by all who have the key and in all their runs: with more, that two are the
 * same becomes too likely. NIST SP 800-38D, section 8.3.
 */
export const RANDOM_IV_LIMIT = 2 ** 32

/** Of one call for random bytes, which costs about a microsecond in itself. */
const IVS_PER_BLOCK = 1024

/** Random IVs: for a key that several use, or that outlives the process, as one made of a password. See {@link RANDOM_IV_LIMIT}. */
export function randomIvs (): IvSource {
  const block = new Uint8Array(IVS_PER_BLOCK * IV_BYTES)
  let next = block.length
  return {
    write (into, at) {
      if (next === block.length) {
        randomFillSync(block)
        next = 0
      }
      for (let i = 0; i < IV_BYTES; i++) into[at + i] = block[next + i]
      next += IV_BYTES
    }
  }
}

/** Options of {@link counterIvs}. */
export interface CounterIvsInit {
  /** Who seals, an unsigned 32-bit number: another one for each who has the key, as each direction of a session. */
  sender: number
  /** The counter in the first datagram, up to 2^53 - 1. Default: 0. */
  first?: number
}

/**
 * IVs of 4 bytes `sender` and 8 bytes counter, big-endian, which are never the same: only for a key that is made anew for each session. A
 * fixed key, a counter from 0 and a restart repeat an IV, and that ends the secrecy of AES-GCM.
 *
 * The counter does not wrap: after 2^53 - 1 there are no further IVs.
 *
 * @throws {OptionError}
 */
export function counterIvs ({ sender, first = 0 }: CounterIvsInit): IvSource {
  if (sender !== sender >>> 0) throw new OptionError(`sender is an unsigned 32-bit number, not ${String(sender)}`)
  if (!Number.isSafeInteger(first) || first < 0) throw new OptionError(`first is a whole number, 0 to 2^53 - 1, not ${String(first)}`)
  let next = first
  return {
    write (into, at) {
      if (next > Number.MAX_SAFE_INTEGER) throw new SealingError('ERR_SEALING_IVS', 'the counter of IVs has ended: take a new key')
      writeU32(into, at, sender)
      writeU32(into, at + 4, next / 0x1_0000_0000)
      writeU32(into, at + 8, next)
      next++
    }
  }
}

function writeU32 (into: Uint8Array, at: number, value: number): void {
  const bits = value >>> 0
  into[at] = bits >>> 24
  into[at + 1] = bits >>> 16
  into[at + 2] = bits >>> 8
  into[at + 3] = bits
}

/** The wire format of our own: {@link compactMux}. */
import { OptionError } from '../../errors.ts'
import { CompactDecoder } from './decode.ts'
import { CompactEncoder } from './encode.ts'
import { MAX_FIELD, MAX_ID } from './varint.ts'
import type { MuxCodec } from './frame.ts'

/** Default maximum bytes of a data frame. */
const DEFAULT_MAX_DATA = 16 << 10

/** Options of {@link compactMux}. */
export interface CompactMuxInit {
  /** Which ids this side gives: odd ones the client, even ones the server. The sides have to differ. */
  role: 'client' | 'server'
  /** Maximum bytes of a data frame, sent or received; both sides have to agree. Default: 16 KiB. */
  maxData?: number
  /** Whether links have credit and half-close, as far as the other side wants it as well. Default: true. */
  credit?: boolean
}

/** The codec of {@link compactMux}: ids are numbers, requests and responses are bytes, at most 4096 of them. */
export type CompactMux = MuxCodec<number, Uint8Array, Uint8Array>

/**
 * The wire format of docs/protocols/link-mux.md over any link of bytes: an id and a type in a variable-length integer, a length, the content.
 *
 * @returns makes the codec of one connection
 * @throws {OptionError} when an option is out of range
 */
export function compactMux ({ role, maxData = DEFAULT_MAX_DATA, credit = true }: CompactMuxInit): () => CompactMux {
  if (role !== 'client' && role !== 'server') throw new OptionError(`role is client or server, not ${String(role)}`)
  if (!Number.isSafeInteger(maxData) || maxData < 1 || maxData > MAX_FIELD) throw new OptionError(`maxData is a whole number of bytes, 1 to ${MAX_FIELD}, not ${String(maxData)}`)
  return () => {
    let next = role === 'client' ? 1 : 2
    let last = 0
    return {
      maxData,
      encoder: new CompactEncoder(credit),
      decoder: new CompactDecoder(maxData, credit),
      nextId () {
        if (next > MAX_ID) return undefined
        next += 2
        return next - 2
      },
      mayOpen (id) { // section 3: of the other parity, each larger than the one before
        if (id % 2 === next % 2 || id <= last) return false
        last = id
        return true
      }
    }
  }
}

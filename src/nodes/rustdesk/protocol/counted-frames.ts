/** Frames of TCP that tell how much memory an incomplete one takes, for servers with many connections. */
import { frameLimit, rendezvousMessages, type RendezvousInit, type RendezvousMessage } from './messages.ts'
import { codec, stack, type CodecCores } from '../../../layer.ts'
import { rustdeskLength } from '../../../transforms/length-codecs.ts'
import { LengthPrefixDecoder, LengthPrefixEncoder } from '../../../transforms/length-prefix.ts'
import type { Layer, Link } from '../../../types.ts'

/** A link that tells what is kept of a message that is not complete. */
export interface Holding {
  /** Bytes of memory. */
  readonly incomplete: { readonly capacity: number }
}

/** Without state. */
const encode = new LengthPrefixEncoder(rustdeskLength, frameLimit)

/** Layer: bytes of TCP below, messages above. @param between makes the cores between frames and messages */
export function countedLayers (between?: () => CodecCores<Uint8Array, Uint8Array>): (lower: Link) => Link<RendezvousMessage, RendezvousInit> & Holding {
  let decode: LengthPrefixDecoder // of the link that is being made
  const frames: Layer = codec(() => {
    decode = new LengthPrefixDecoder(rustdeskLength, frameLimit)
    return { decode, encode }
  })
  const layers = between === undefined ? stack(frames, rendezvousMessages) : stack(frames, codec(between), rendezvousMessages)
  return (lower) => {
    const link = layers(lower)
    return Object.assign(link, { incomplete: decode })
  }
}

/** Layer: bytes of TCP below, messages above. */
export const countedMessages = countedLayers()

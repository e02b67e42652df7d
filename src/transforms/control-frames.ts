/**
 * Length-prefixed frames for control channels: `it-length-prefixed` with the length codecs and limits of {@link lengthPrefix}, one frame at
 * a time. Added here: a stream that ends right after a length is an error, and neither single-byte reads nor a receiver that reuses its
 * memory do harm.
 */
import { decode, encode } from 'it-length-prefixed'
import { TruncatedError } from '../errors.ts'
import { portOver, transform } from '../layer.ts'
import type { Batch, Core, Layer } from '../types.ts'
import { frameCodec, type LengthCodec, type LengthPrefixInit } from './length-codecs.ts'
import { ReassemblyBuffer } from './reassembly-buffer.ts'

type Frames = ReturnType<typeof frameCodec>

/** The limit is checked by the length codec, so that both drivers reject the same frames with the same error. */
const maxDataLength = Infinity

async function * decodeFrames (source: AsyncIterable<Batch>, lengthDecoder: Frames['lengthDecoder']): AsyncGenerator<Batch> {
  const held = new ReassemblyBuffer()
  let given = 0 // bytes given to the decoder that belong to no complete frame
  let need = 0 // bytes of the current frame, length included, once known

  async function * reads (): AsyncGenerator<Uint8Array> {
    for await (const batch of source) {
      for (const read of batch) {
        // the rest of a frame is passed in one piece, since the decoder keeps an object per piece
        const rest = read.subarray(0, Math.max(0, need - given - held.length))
        if (rest.length > 0) {
          held.append(rest, need - given)
          if (given + held.length < need) continue
          given = need
          yield held.take()
        }
        if (rest.length === read.length) continue
        given += read.length - rest.length
        yield Uint8Array.from(read.subarray(rest.length)) // copied, as it is kept beyond the batch
      }
    }
    if (given + held.length > 0) throw new TruncatedError(`stream ended ${given + held.length} bytes into a frame`)
  }

  function onLength (size: number): void {
    need = lengthDecoder.bytes + size
  }

  function onData (): void {
    given -= need
    need = 0
  }

  for await (const frame of decode(reads(), { lengthDecoder, maxDataLength, onLength, onData })) yield [frame.subarray()]
}

function frameEncoder (lengthEncoder: Frames['lengthEncoder']): Core<Uint8Array, Uint8Array> {
  return { push: (batch) => batch.map((frame) => encode.single(frame, { lengthEncoder, maxDataLength }).subarray()) }
}

/**
 * The layer: reads below, frames above, one per batch. Frames before an invalid one are still delivered.
 *
 * @throws {FrameSizeError} and `TruncatedError` as {@link lengthPrefix} does
 */
export function controlFrames (make: LengthCodec, init?: LengthPrefixInit): Layer {
  frameCodec(make, init) // checks the options now rather than at the first link

  return (lower) => {
    const { lengthDecoder, lengthEncoder } = frameCodec(make, init)
    const encoder = frameEncoder(lengthEncoder)
    return {
      source: decodeFrames(lower.source, lengthDecoder),
      sink: (source) => lower.sink(transform(encoder)(source)),
      port: portOver(lower.port, encoder),
      abort: (err) => { lower.abort(err) }
    }
  }
}

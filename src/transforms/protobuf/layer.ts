/**
 * Protocol Buffers, one message per frame, with static code of `protobufjs`.
 *
 * ```ts
 * const messages = stack(lengthPrefix(u16be, { adjust: 4 }), checksum('crc32'), protobuf({ type: msg, schema: msgSchema }))
 * ```
 */
import protobufjs from 'protobufjs/minimal.js'
import { codec } from '../../layer.ts'
import type { Batch, Core, Layer, Link } from '../../types.ts'
import { FailFastDecoder } from '../fail-fast-decoder.ts'
import { FrameSizeError } from '../length-codecs.ts'
import { ProtobufError, verifyMessage, type WireSchema } from './wire.ts'

/** The static code of a message, as `pbjs -t static-module` writes it. */
export interface ProtobufType<Out extends object, In extends Out = Out> {
  encode (message: Out, writer?: protobufjs.Writer): protobufjs.Writer
  decode (reader: Uint8Array, length?: number): In
}

/** Options of {@link protobuf}. */
export interface ProtobufInit<Out extends object, In extends Out = Out> {
  type: ProtobufType<Out, In>
  /** Text and messages in it, which are checked before anything is decoded. Its depth is that of the message. */
  schema: WireSchema
  /** Maximum bytes of a message. Default: 65535. */
  maxBytes?: number
}

const DEFAULT_MAX_BYTES = 65535

/** What decoding needs: all but the encoder. */
type DecoderInit<In extends object> = Pick<ProtobufInit<object>, 'schema' | 'maxBytes'> & { type: Pick<ProtobufType<object, In>, 'decode'> }

/**
 * Decodes one message, checked; fields of bytes are views of it.
 *
 * @throws {FrameSizeError} when it is larger than `maxBytes`
 * @throws {ProtobufError} when it is malformed
 */
export function decodeProtobuf<In extends object> ({ type, schema, maxBytes = DEFAULT_MAX_BYTES }: DecoderInit<In>, bytes: Uint8Array): In {
  if (bytes.length > maxBytes) throw new FrameSizeError(`message of ${bytes.length} bytes, limit ${maxBytes}`)
  verifyMessage(bytes, 0, bytes.length, schema)
  try {
    return type.decode(bytes)
  } catch (cause) { // a known field with another wire type
    if (cause instanceof ProtobufError) throw cause
    throw new ProtobufError('not a message of this type', { cause })
  }
}

/** Decodes one message a frame; fields of bytes are views of it. A malformed one is its `failure`, `ERR_PROTOBUF`. */
export class ProtobufDecoder<In extends object> extends FailFastDecoder<In> {
  readonly memory = 'passes'
  readonly #init: DecoderInit<In>

  constructor (init: Pick<ProtobufInit<object>, 'schema' | 'maxBytes'> & { type: Pick<ProtobufType<object, In>, 'decode'> }) {
    super()
    this.#init = init
  }

  protected override decode (frame: Uint8Array, out: Batch<In>): void { out.push(decodeProtobuf(this.#init, frame)) }
}

/** Encodes one message a frame. The frames of a batch share one buffer. */
export class ProtobufEncoder<Out extends object> implements Core<Out, Uint8Array> {
  readonly #type: Pick<ProtobufType<Out>, 'encode'>
  readonly #maxBytes: number

  constructor ({ type, maxBytes = DEFAULT_MAX_BYTES }: Pick<ProtobufInit<Out>, 'maxBytes'> & { type: Pick<ProtobufType<Out>, 'encode'> }) {
    this.#type = type
    this.#maxBytes = maxBytes
  }

  /** @throws {FrameSizeError} when a message is larger than `maxBytes`; then nothing of the batch is sent */
  push (batch: Batch<Out>): Batch {
    const writer = protobufjs.Writer.create()
    const ends: number[] = []
    for (const message of batch) {
      const before = writer.len
      this.#type.encode(message, writer)
      const size = writer.len - before
      if (size > this.#maxBytes) throw new FrameSizeError(`message of ${size} bytes, limit ${this.#maxBytes}`)
      ends.push(writer.len)
    }
    const bytes = writer.finish()
    return ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end))
  }
}

/** The layer: frames below, messages above. */
export const protobuf = <Out extends object, In extends Out = Out>(init: ProtobufInit<Out, In>): Layer<Link, Link<In, Out>> =>
  codec(() => ({ decode: new ProtobufDecoder(init), encode: new ProtobufEncoder(init) }))

/** Encodes WebSocket frames (RFC 6455, section 5.2), one buffer per batch. No I/O. */
import { applyMask, maskKey, maskWayOf, type MaskWay } from './mask.ts'
import { CloseCode, isValidCloseCode, MAX_CONTROL_PAYLOAD, Opcode } from './protocol.ts'
import { OptionError } from '../../errors.ts'
import type { Role } from './decoder-init.ts'
import type { Batch, Core } from '../../types.ts'

const FIN = 0x80
const MASKED = 0x80

const lengthBytes = (size: number): number => size < 126 ? 0 : size < 0x1_0000 ? 2 : 8

/** Encodes each element as one unfragmented binary message; also makes frames of the other opcodes. */
export class FrameEncoder implements Core {
  readonly #masked: boolean

  readonly #allocate: (length: number) => Buffer

  /**
   * @param role the side that encodes: a client masks, a server does not
   * @param allocate allocates the memory of a batch. Default: new memory each time
   */
  constructor (role: Role, allocate: (length: number) => Buffer = Buffer.allocUnsafe) {
    this.#masked = role === 'client'
    this.#allocate = allocate
  }

  push (batch: Batch): Batch {
    if (batch.length === 0) return []
    const overhead = this.#masked ? 6 : 2
    let total = 0
    for (let i = 0; i < batch.length; i++) total += overhead + lengthBytes(batch[i].length) + batch[i].length
    const out = this.#allocate(total)
    const way = this.#masked ? maskWayOf(out) : undefined
    let at = 0
    for (let i = 0; i < batch.length; i++) at = this.#write(out, at, FIN | Opcode.BINARY, batch[i], way)
    return [out]
  }

  text (text: string): Uint8Array { return this.#single(Opcode.TEXT, Buffer.from(text)) }

  /** @throws {OptionError} when the payload is longer than 125 bytes (section 5.5) */
  ping (payload: Uint8Array): Uint8Array { return this.#single(Opcode.PING, control(payload)) }

  pong (payload: Uint8Array): Uint8Array { return this.#single(Opcode.PONG, control(payload)) }

  /** @throws {OptionError} for a code that must not be sent, or a reason of more than 123 bytes */
  close (code: number, reason = ''): Uint8Array {
    if (code === CloseCode.NO_STATUS) return this.#single(Opcode.CLOSE, new Uint8Array(0))
    if (!isValidCloseCode(code)) throw new OptionError(`close code ${code} must not be sent`)
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason))
    payload.writeUInt16BE(code)
    payload.write(reason, 2)
    return this.#single(Opcode.CLOSE, control(payload))
  }

  #single (opcode: number, payload: Uint8Array): Uint8Array {
    const out = Buffer.allocUnsafe((this.#masked ? 6 : 2) + lengthBytes(payload.length) + payload.length)
    this.#write(out, 0, FIN | opcode, payload, this.#masked ? maskWayOf(out) : undefined)
    return out
  }

  #write (out: Buffer, start: number, first: number, payload: Uint8Array, way: MaskWay | undefined): number {
    const size = payload.length
    const masked = way === undefined ? 0 : MASKED
    let at = start
    out[at++] = first
    if (size < 126) {
      out[at++] = masked | size
    } else if (size < 0x1_0000) {
      out[at++] = masked | 126
      out[at++] = size >>> 8
      out[at++] = size
    } else {
      out[at++] = masked | 127
      at = out.writeUInt32BE(Math.floor(size / 0x1_0000_0000), at)
      at = out.writeUInt32BE(size >>> 0, at)
    }
    if (way === undefined) {
      out.set(payload, at)
      return at + size
    }
    const key = maskKey()
    at = out.writeInt32BE(key, at)
    out.set(payload, at)
    applyMask(out, at, at + size, key, way)
    return at + size
  }
}

function control (payload: Uint8Array): Uint8Array {
  if (payload.length > MAX_CONTROL_PAYLOAD) throw new OptionError(`a control frame carries at most ${MAX_CONTROL_PAYLOAD} bytes, not ${payload.length}`)
  return payload
}

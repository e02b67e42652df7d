/** A WebSocket that is `code_data` on a link, at either end (natpass protocol, sections 4.2 and 6.6). */
import type { RawData, WebSocket } from 'ws'
import type { Reader } from './backlog.ts'
import { MAX_PIECE, type CodeChannel, type CodeStream } from './code-channel.ts'
import { MessageType } from '../../protocol/message-types.ts'
import type { MessageInit } from '../../protocol/messages.ts'
import { utf8Chunks } from '../shell/utf8-chunks.ts'
import { MAX_REASON, printable } from '../../../../text/printable.ts'

/** Bytes of a message of a WebSocket, which is held whole. */
export const MAX_MESSAGE = 32 << 20

/** Opcodes (RFC 6455, section 5.2). */
const TEXT = 1
const BINARY = 2

export class CodeSocket {
  readonly #socket: WebSocket
  readonly #stream: CodeStream
  readonly #isOurs: boolean
  readonly #reader: Reader
  /** Messages that wait for credit: those of one read. */
  readonly #queue: Array<{ readonly bytes: Buffer, readonly type: number }> = []
  #isSending = false

  /** @param socket - open */
  constructor (socket: WebSocket, stream: CodeStream, { isOurs, backlog }: Pick<CodeChannel, 'isOurs' | 'backlog'>) {
    this.#socket = socket
    this.#stream = stream
    this.#isOurs = isOurs
    this.#reader = backlog.reader()
    socket.on('message', (data: RawData, isBinary: boolean) => {
      this.#queue.push({ bytes: data as Buffer, type: isBinary ? BINARY : TEXT })
      if (!this.#isSending) void this.#send()
    })
    socket.on('error', () => {}) // `close` follows
    socket.on('close', (_code, reason) => {
      this.#reader.gone()
      stream.send({ _type: MessageType.codeData, csdata: { request_id: stream.id, ok: false, type: TEXT, data: reason } })
      stream.close()
    })
  }

  /** A `code_data`. */
  take ({ csdata }: MessageInit): void {
    if (csdata == null) return
    const { ok, type, more, data } = csdata
    if (ok !== true) return this.end(Buffer.from(data ?? []).toString())
    const bytes = Buffer.from(data ?? []) // the memory is ours only until this returns
    if (this.#reader.isSlow) {
      this.#socket.terminate() // otherwise messages would be lost
      return
    }
    this.#reader.add(bytes.length)
    this.#socket.send(bytes, { binary: type !== TEXT, fin: more !== true }, () => {
      this.#reader.taken(bytes.length)
      this.#stream.consumed(bytes.length)
    })
  }

  /** The other side has ended. */
  end (reason: string): void {
    this.#stream.close()
    this.#socket.resume() // otherwise its end would not be read
    this.#socket.close(1000, printable(reason, MAX_REASON - 3))
  }

  async #send (): Promise<void> {
    this.#isSending = true
    this.#socket.pause()
    for (let next = this.#queue.shift(); next !== undefined && !this.#stream.isOver; next = this.#queue.shift()) await this.#sendMessage(next.bytes, next.type)
    this.#isSending = false
    this.#socket.resume()
  }

  /** Between ends of tunpipe a message arrives whole; others get each piece as a message, and none that is empty. */
  async #sendMessage (bytes: Buffer, type: number): Promise<void> {
    const pieces = this.#isOurs ? piecesOf(bytes) : type === TEXT ? [...utf8Chunks(bytes, MAX_PIECE)] : bytes.length === 0 ? [] : piecesOf(bytes)
    for (const [i, data] of pieces.entries()) {
      const more = this.#isOurs && i < pieces.length - 1
      if (!await this.#stream.write({ _type: MessageType.codeData, csdata: { request_id: this.#stream.id, ok: true, type, data, more } }, data.length)) return
    }
  }
}

/** One piece at least. */
export function piecesOf (bytes: Uint8Array): Uint8Array[] {
  if (bytes.length <= MAX_PIECE) return [bytes]
  return Array.from({ length: Math.ceil(bytes.length / MAX_PIECE) }, (_, i) => bytes.subarray(i * MAX_PIECE, (i + 1) * MAX_PIECE))
}

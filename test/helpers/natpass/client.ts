/** A client of natpass that does what a test tells it, over a real connection. */
import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { LengthPrefixDecoder } from '../../../src/transforms/length-prefix.ts'
import { u16be } from '../../../src/transforms/length-codecs.ts'
import { MessageType, SERVER } from '../../../src/nodes/natpass/protocol/message-types.ts'
import { decodeMessage, frameOf, type Message, type MessageInit } from '../../../src/nodes/natpass/protocol/messages.ts'
import { proofOf, stepAt } from '../../../src/nodes/natpass/protocol/proof.ts'

export const SECRET = 'a secret of tests'

/** The number of a message that no program knows; one to itself comes back once all before it were handled. */
const ECHO = 99

export const handshake = (id: string, { secret = SECRET, date = Date.now(), enc = proofOf(secret, stepAt(date)) } = {}): MessageInit =>
  ({ _type: MessageType.handshake, from: id, to: SERVER, hsp: { enc } })

export class NatpassClient {
  readonly id: string
  readonly socket: Socket
  readonly inbox: Message[] = []
  /** Settles when the relay has ended the connection, with all bytes that it had sent. */
  readonly closed: Promise<Buffer>
  readonly #events = new EventEmitter()
  #echoes = 0

  constructor (socket: Socket, id: string) {
    this.socket = socket
    this.id = id
    const decoder = new LengthPrefixDecoder(u16be, { adjust: 4 })
    const heard: Buffer[] = []
    socket.on('data', (read: Buffer) => {
      heard.push(read)
      for (const frame of decoder.push([read])) this.inbox.push(decodeMessage(frame.subarray(4)))
      this.#events.emit('message')
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => { socket.on('close', () => { resolve(Buffer.concat(heard)) }) })
  }

  /** Writes messages, or bytes. */
  send (...parts: Array<MessageInit | Uint8Array>): void {
    this.socket.write(Buffer.concat(parts.map((part) => part instanceof Uint8Array ? part : frameOf({ from: this.id, ...part }))))
  }

  /** Takes the next message that fits out of the inbox. */
  async next (fits: (message: Message) => boolean = () => true): Promise<Message> {
    for (;;) {
      const at = this.inbox.findIndex(fits)
      if (at >= 0) return this.inbox.splice(at, 1)[0]
      await once(this.#events, 'message')
    }
  }

  /** Waits until the relay has handled everything that was sent so far. */
  async settled (): Promise<void> {
    const link = `echo ${++this.#echoes}`
    this.send({ _type: ECHO as number as MessageInit['_type'], to: this.id, _data: { data: Buffer.from(link) } })
    await this.next(({ _type, _data }) => (_type as number) === ECHO && Buffer.from(_data?.data ?? []).toString() === link)
  }
}

/** A connection without a handshake. */
export async function dial (t: Test, port: number, id = '', host = '127.0.0.1'): Promise<NatpassClient> {
  const socket = connect({ port, host })
  t.teardown(() => { socket.destroy() })
  await once(socket, 'connect')
  return new NatpassClient(socket, id)
}

/** A client of the relay. */
export async function join (t: Test, port: number, id: string): Promise<NatpassClient> {
  const client = await dial(t, port, id)
  client.send(handshake(id))
  await client.settled()
  return client
}

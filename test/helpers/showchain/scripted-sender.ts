/** A socket whose messages are made one by one. */
import type { InstantIdentity } from './instant.ts'
import { consume } from '../../../src/streams/consume.ts'
import { decodeMessage, encodeMessage, type ShowchainMessage } from '../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../src/nodes/showchain/protocol/op.ts'
import { signedBytes } from '../../../src/nodes/showchain/protocol/signatures.ts'
import type { Clock, Datagram, DatagramSocket, Endpoint } from '../../../src/types.ts'

export class ScriptedSender {
  readonly #clock: Clock
  readonly #identity: InstantIdentity
  readonly #socket: DatagramSocket
  readonly #got: ShowchainMessage[] = []
  /** The last one that has come. */
  #cookie: Uint8Array | undefined

  constructor (clock: Clock, identity: InstantIdentity, socket: DatagramSocket) {
    this.#clock = clock
    this.#identity = identity
    this.#socket = socket
    consume<Datagram>(socket, (batch) => {
      for (const { data } of batch) {
        const message = decodeMessage(Uint8Array.from(data))
        this.#cookie = message.cookie ?? this.#cookie
        this.#got.push(message)
      }
    }).catch(() => {})
  }

  /** What has come since the last call. */
  take (): ShowchainMessage[] { return this.#got.splice(0) }

  send (message: ShowchainMessage, to: Endpoint): void { this.#socket.port.send([{ data: encodeMessage(message), host: to.host, port: to.port }]) }

  /** @param offset milliseconds by which ts is off */
  request (op: typeof Op.directRequest | typeof Op.natRequest, target: Uint8Array, to: Endpoint, seq: number, offset = 0): void {
    this.#sendSigned({ op, id: this.#identity.id, target, seq, ts: Math.floor(this.#clock.date()) + offset, cookie: this.#cookie }, to)
  }

  /** A 0x112 as a helper passes it on, of this one itself. */
  introduce (target: Uint8Array, to: Endpoint, { ip, port }: { ip: Uint8Array, port: number }, seq = 1): void {
    this.#sendSigned({ op: Op.passRequest, id: this.#identity.id, target, seq, ts: Math.floor(this.#clock.date()), session: new Uint8Array(16), ip, port }, to)
  }

  #sendSigned (message: ShowchainMessage, to: Endpoint): void {
    this.send({ ...message, key: this.#identity.der, sign: this.#identity.sign(signedBytes(message)) }, to)
  }
}

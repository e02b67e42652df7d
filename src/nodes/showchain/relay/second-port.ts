/** Answers from another port than that of the requests (SHOW CHAIN protocol, section 4.1). */
import { Outbox } from './outbox.ts'
import type { Datagram, Endpoint, PacketPort } from '../../../types.ts'
import type { Identity } from '../protocol/identity.ts'
import { encodeMessage, type ShowchainMessage } from '../protocol/messages.ts'
import { signedBytes, signMessage } from '../protocol/signatures.ts'

/** Messages that wait to be signed. */
const MAX_SIGNING = 256

export class SecondPort {
  readonly #outbox: Outbox
  readonly #identity: Identity
  readonly #threads: boolean
  #signing = 0
  #refused = 0

  /** @param threads whether other threads sign */
  constructor (port: PacketPort<Datagram>, identity: Identity, threads: boolean) {
    this.#outbox = new Outbox(port)
    this.#identity = identity
    this.#threads = threads
  }

  get signing (): number { return this.#signing }

  get unsent (): number { return this.#refused + this.#outbox.unsent }

  /** Signs a message and sends it. */
  send (message: ShowchainMessage, to: Endpoint): void {
    if (!this.#threads) {
      this.#send(signMessage(message, this.#identity), to)
      return
    }
    if (this.#signing >= MAX_SIGNING) {
      this.#refused++
      return
    }
    this.#signing++
    this.#identity.signLater(signedBytes(message), (sign) => {
      this.#signing--
      if (sign === undefined) this.#refused++
      else this.#send({ ...message, sign, key: this.#identity.der }, to)
    })
  }

  #send (message: ShowchainMessage, to: Endpoint): void {
    this.#outbox.add(encodeMessage(message), to)
    this.#outbox.flush()
  }
}

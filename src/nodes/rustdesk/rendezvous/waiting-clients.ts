/**
 * Clients that wait for the answer of a peer. The peer answers on a connection of its own, and names the client by the address that it was
 * told: so each client has an address of its own, and an answer counts only when it comes from a peer that was asked for this client.
 */
import { randomFillSync } from 'node:crypto'
import { endpointKey } from '../protocol/addresses.ts'
import { mangleAddress, unmangleAddress } from '../protocol/mangled-address.ts'
import type { Endpoint } from '../../../types.ts'

/** Peers that one client may ask, and how often all of them, as each time a peer is sent a datagram. */
const MOST_ASKED = 8
const MOST_ASKS = 16

/** Ports that are tried for a client without one. */
const TRIES = 64

/** A peer that was asked. */
interface Asked {
  readonly id: string
  /** Where it was asked. */
  readonly host: string
  /** The address of the client as it was told, as text: partly random for IPv4, so that who repeats it was asked. */
  readonly told: string
}

/** A client that waits, on its connection. */
export interface WaitingClient {
  /** As the peer is told. */
  readonly address: Endpoint
  /** Whether a peer may be asked for it: it waits, and has not asked too often. A client asks three times. */
  readonly mayAsk: boolean
}

/** The answer of a peer, for a client. */
export interface PeerAnswer {
  /** The client, as in the answer. */
  readonly client: Uint8Array
  /** The peer, as in the answer: its id, which may be empty, and the address of its connection, folded. */
  readonly id: string
  readonly host: string
}

class Waiting<Client> implements WaitingClient {
  readonly client: Client
  readonly address: Endpoint
  readonly key: string
  readonly asked: Asked[] = []
  asks = 0
  isWaiting = true

  constructor (client: Client, address: Endpoint) {
    this.client = client
    this.address = address
    this.key = endpointKey(address)
  }

  get mayAsk (): boolean { return this.isWaiting && this.asks < MOST_ASKS }
}

/** @typeParam Client the connection of a client */
export class WaitingClients<Client> {
  readonly #byAddress = new Map<string, Waiting<Client>>()
  readonly #byClient = new Map<Client, Waiting<Client>>()
  readonly #random = new RandomWords()

  get size (): number { return this.#byClient.size }

  /**
   * A client begins to wait. Does nothing for one that has begun before.
   *
   * @param remote its address, folded; with port 0, as of clients behind a proxy, it gets a port that no other client of this address has
   */
  open (client: Client, remote: Endpoint): WaitingClient {
    const known = this.#byClient.get(client)
    if (known !== undefined) return known
    const waiting = new Waiting(client, remote.port === 0 ? this.#withPort(remote) : remote)
    this.#byClient.set(client, waiting)
    this.#byAddress.set(waiting.key, waiting)
    return waiting
  }

  /** A peer is asked for a client. Returns the address of the client in the form for the peer. */
  ask (client: Client, { id, host }: { id: string, host: string }): Uint8Array {
    const waiting = this.#byClient.get(client) as Waiting<Client>
    const address = mangleAddress(waiting.address, this.#random.next())
    const { asked } = waiting
    waiting.asks++
    if (asked.length >= MOST_ASKED) asked.shift()
    asked.push({ id, host, told: textOf(address) })
    return address
  }

  /** Takes the answer of a peer: the client that it is for, which waits no longer. Undefined: no client, or the peer was not asked for it. */
  take (answer: PeerAnswer): Client | undefined {
    const waiting = this.#byAddress.get(endpointKey(unmangleAddress(answer.client)))
    if (waiting?.isWaiting !== true || !waiting.asked.some((asked) => isBy(answer, asked))) return undefined
    this.answered(waiting.client)
    return waiting.client
  }

  /** The client has its answer. It keeps its address until it is closed, and gets no other answer. False: it had one before. */
  answered (client: Client): boolean {
    const waiting = this.#byClient.get(client)
    if (waiting?.isWaiting !== true) return false
    waiting.isWaiting = false
    waiting.asked.length = 0
    return true
  }

  close (client: Client): void {
    const waiting = this.#byClient.get(client)
    if (waiting === undefined) return
    this.#byClient.delete(client)
    if (this.#byAddress.get(waiting.key) === waiting) this.#byAddress.delete(waiting.key)
  }

  #withPort ({ host }: Endpoint): Endpoint {
    for (let tries = 0; ; tries++) {
      const address = { host, port: 1 + this.#random.next() % 0xffff }
      if (tries === TRIES || !this.#byAddress.has(endpointKey(address))) return address
    }
  }
}

/** From the address that was asked; or, as peers may have several, with the very bytes that it was told. These are random for IPv4 alone. */
const isBy = ({ client, id, host }: PeerAnswer, asked: Asked): boolean =>
  (id === '' || id === asked.id) && (host === asked.host || (client.length < IPV6_BYTES && textOf(client) === asked.told))

const IPV6_BYTES = 18

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')

/** Random numbers of 32 bits, of which many are drawn at once. */
class RandomWords {
  readonly #words = new Uint32Array(1024)
  #at = 1024

  next (): number {
    if (this.#at === this.#words.length) {
      randomFillSync(this.#words)
      this.#at = 0
    }
    return this.#words[this.#at++]
  }
}

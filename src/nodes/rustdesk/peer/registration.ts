/** Keeps a peer registered by UDP, and takes what the server wants of it (RustDesk protocol, section 6.2). */
import { RegisterError } from './errors.ts'
import type { PeerIdentity } from './identity.ts'
import { RegisterResult } from '../protocol/enums.ts'
import { rendezvous, type RendezvousInit, type RendezvousMessage } from '../protocol/messages.ts'
import type { Logger } from '../../../log.ts'
import { normalizeAddress } from '../../../net/client-address.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { reasonOf } from '../../../text/printable.ts'
import { consume } from '../../../streams/consume.ts'
import type { Clock, Datagram, DatagramSocket, Endpoint, Timer } from '../../../types.ts'

/** Milliseconds after an answer until the next sign of life, and without one. */
const PERIOD = 15_000
const RETRY = 3000

/** Without an answer for so long the peer is not registered any more; then there is another socket, as the address of either side may be another one. */
const REBIND_AFTER = 60_000
const MISSES = 4

/** Milliseconds after a server has refused for now. */
const REFUSED_WAIT = 15_000

/** Binds a UDP socket. */
export type BindPeer = (init: Endpoint) => Promise<DatagramSocket>

export interface RegistrationInit {
  id: string
  identity: PeerIdentity
  server: Endpoint
  bind: BindPeer
  /** Finds the address of a name. */
  lookup: (host: string) => Promise<string>
  clock: Clock
  log: Logger
  /** The server wants something: a path to another peer. */
  onPush (message: RendezvousMessage): void
  /** The server knows this peer; or does not any more, and why. */
  onRegistered (isRegistered: boolean, reason?: string): void
  /** The server wants the key again: it has begun anew, or the address of this peer is another one. */
  onMoved (): void
  /** It will never be registered. */
  onFailed (err: RegisterError): void
}

export class Registration {
  readonly #init: RegistrationInit
  #socket: DatagramSocket | undefined
  #server: Endpoint | undefined
  #timer: Timer | undefined
  /** The server has the key; else it was sent the key, and has not answered. */
  #isConfirmed = false
  #isRegistered = false
  /** Why it is not, as was told. */
  #told: string | undefined
  #misses = 0
  #answeredAt = -Infinity
  #isClosed = false

  constructor (init: RegistrationInit) { this.#init = init }

  /** The address of the server; undefined before it was found. */
  get server (): Endpoint | undefined { return this.#server }

  /** Begins. What goes wrong is tried again. */
  start (): void { void this.#open() }

  close (): void {
    this.#isClosed = true
    this.#init.clock.clear(this.#timer)
    this.#socket?.close()
  }

  async #open (): Promise<void> {
    const { server, bind, lookup, clock, log } = this.#init
    this.#socket?.close()
    this.#misses = 0
    this.#answeredAt = clock.now() // the next rebinding is counted from here
    try {
      const host = await lookup(server.host)
      const socket = await bind({ host: host.includes(':') ? '::' : '0.0.0.0', port: 0 })
      if (this.#isClosed) {
        socket.close()
        return
      }
      this.#socket = socket
      this.#server = { host: normalizeAddress(host), port: server.port }
      consume<Datagram>(socket, (batch) => { for (const datagram of batch) this.#receive(datagram) }).catch((err: Error) => { log.warn({ reason: reasonOf(err) }, 'the socket has broken') })
      this.#send()
    } catch (err) {
      this.#lose(`no way to ${endpointText(server)}: ${reasonOf(err as Error)}`)
      if (!this.#isClosed) this.#wait(RETRY, () => { void this.#open() })
    }
  }

  /** Its key, or a sign of life; again later when there is no answer. */
  #send (): void {
    const { id, identity: { uuid, pair }, clock } = this.#init
    this.#post(this.#isConfirmed ? { register_peer: { id, serial: 0 } } : { register_pk: { id, uuid, pk: pair.publicKey } })
    this.#wait(RETRY, () => {
      this.#misses++
      if (this.#misses >= MISSES) this.#lose('the server does not answer')
      if (this.#misses >= MISSES && clock.now() - this.#answeredAt >= REBIND_AFTER) void this.#open()
      else this.#send()
    })
  }

  #post (message: RendezvousInit): void {
    const server = this.#server
    if (server !== undefined) this.#socket?.port.send([{ data: rendezvous.encode(message), ...server }])
  }

  #receive ({ data, host, port }: Datagram): void {
    const server = this.#server
    if (this.#isClosed || server === undefined || normalizeAddress(host) !== server.host || port !== server.port) return
    let message: RendezvousMessage
    try {
      message = rendezvous.decode(data)
    } catch {
      return
    }
    const { register_pk_response: ofKey, register_peer_response: ofPeer } = message
    if (ofKey != null) this.#keyAnswered(ofKey.result ?? RegisterResult.ok)
    else if (ofPeer != null) this.#answered(ofPeer.request_pk === true)
    else this.#init.onPush(message)
  }

  #keyAnswered (result: number): void {
    if (this.#isConfirmed) return // nobody has asked: it is late, or forged
    const { id, onFailed } = this.#init
    if (result === RegisterResult.ok) {
      this.#isConfirmed = true
      this.#answered(false)
    } else if (result === RegisterResult.uuidMismatch || result === RegisterResult.idExists) {
      this.close()
      onFailed(new RegisterError('id-taken', `the id ${id} belongs to another machine`))
    } else if (result === RegisterResult.invalidIdFormat) {
      this.close()
      onFailed(new RegisterError('id-form', `the server takes no id such as ${id}`))
    } else if (result === RegisterResult.notSupport || result === RegisterResult.notDeployed) {
      this.close()
      onFailed(new RegisterError('not-served', 'the server registers no peers here'))
    } else {
      this.#lose(result === RegisterResult.tooFrequent ? 'the server has had too many registrations' : 'the server cannot register now')
      this.#wait(REFUSED_WAIT, () => { this.#send() })
    }
  }

  /** @param wantsKey the server knows no key, or that of another address */
  #answered (wantsKey: boolean): void {
    if (wantsKey && !this.#isConfirmed) return // it was sent, and will be again: once for each answer would be for ever
    const { clock, onRegistered } = this.#init
    this.#misses = 0
    this.#answeredAt = clock.now()
    if (wantsKey) {
      this.#isConfirmed = false
      this.#send()
      this.#init.onMoved()
      return
    }
    this.#wait(PERIOD, () => { this.#send() })
    if (this.#isRegistered) return
    this.#isRegistered = true
    this.#told = undefined
    onRegistered(true)
  }

  #lose (reason: string): void {
    if (this.#isClosed || (!this.#isRegistered && this.#told === reason)) return
    this.#told = reason
    this.#isRegistered = false
    this.#init.onRegistered(false, reason)
  }

  #wait (milliseconds: number, then: () => void): void {
    const { clock } = this.#init
    clock.clear(this.#timer)
    this.#timer = clock.set(milliseconds, then)
  }
}

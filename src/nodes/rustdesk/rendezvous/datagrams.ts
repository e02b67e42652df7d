/** Serves the messages that come as datagrams: registrations of peers (RustDesk protocol, section 4.2). */
import { configUpdate, encode, HEARD, KEY_WANTED, registerResult } from './answers.ts'
import { Discovery } from './discovery.ts'
import { presenceOf } from './registration.ts'
import { relayEndpoint } from './relay-servers.ts'
import type { Registrar } from './registrar.ts'
import type { RendezvousState } from './state.ts'
import { countMessage } from './stats.ts'
import { TargetLimiter } from './target-limiter.ts'
import { foldAddress } from '../protocol/addresses.ts'
import { memberDemux } from '../protocol/handlers.ts'
import { rendezvous, type Members, type RendezvousInit, type RendezvousMessage } from '../protocol/messages.ts'
import { isLoopback } from '../../../net/client-address.ts'
import type { Batch, Datagram, PacketPort } from '../../../types.ts'

/** Servers in a list. */
const MOST_SERVERS = 64

/** Lists of servers and versions: they are longer than what asks for them. */
const UPDATES = { port: { rate: 16, burst: 64 }, address: { rate: 256, burst: 1024 } }

/** Addresses whose folded form is kept. */
const MOST_HOSTS = 1024

/** Other messages are ignored: answers to them would go wherever a forged sender address says. */
const receive = memberDemux<DatagramReceiver>({
  register_peer: (message, receiver) => { receiver.registerPeer(message) },
  register_pk: (message, receiver) => { receiver.registerKey(message) },
  configure_update: (message, receiver) => { receiver.configure(message) },
  software_update: (message, receiver) => { receiver.updateSoftware(message) },
  peer_discovery: (message, receiver) => { receiver.discover(message) }
}, (_message, receiver) => { receiver.ignore() })

/** Serves the datagrams of one socket. */
export interface DatagramService {
  /** Serves a batch; nothing of its memory is kept. */
  receive (batch: Batch<Datagram>): void
}

export class DatagramReceiver implements DatagramService {
  readonly #state: RendezvousState
  readonly #registrar: Registrar
  readonly #port: PacketPort<Datagram>
  readonly #discovery: Discovery
  readonly #folded = new Map<string, string>()
  readonly #updates = new TargetLimiter(UPDATES)
  /** Answers to the batch that is being served. */
  #answers: Batch<Datagram> = []
  /** The sender of the datagram that is being served: as the socket has it, folded, and its port. */
  #sender = ''
  #host = ''
  #senderPort = 0
  #now = 0

  constructor (state: RendezvousState, registrar: Registrar, port: PacketPort<Datagram>) {
    this.#state = state
    this.#registrar = registrar
    this.#port = port
    this.#discovery = new Discovery(state)
  }

  receive (batch: Batch<Datagram>): void {
    this.#now = this.#state.clock.now()
    for (const { data, host, port } of batch) {
      const message = this.#read(data, host, port)
      if (message === undefined) continue
      if (host !== this.#sender) {
        this.#sender = host
        this.#host = this.#fold(host)
      }
      this.#senderPort = port
      receive(message, this)
    }
    const answers = this.#answers
    if (answers.length === 0) return
    this.#answers = []
    this.#send(answers)
  }

  registerPeer ({ id, serial }: Members['register_peer']): void {
    if (id === '') {
      this.#state.totals.drops.empty++
      return
    }
    const { peers, serverList } = this.#state
    const peer = peers.get(id)
    const isHeard = presenceOf(peer, this.#host) === 'heard'
    if (isHeard) peer?.heard(this.#host, this.#senderPort, this.#now)
    this.#answer(isHeard ? HEARD : KEY_WANTED)
    if (serverList.serial > serial) this.#inform({ configure_update: configUpdate(serverList) })
  }

  registerKey (request: Members['register_pk']): void {
    const host = this.#sender
    const port = this.#senderPort
    const result = this.#registrar.register(request, { host: this.#host, port, way: 'udp' }, this.#now)
    if (typeof result === 'number') this.#answer(registerResult(result))
    else void result?.then((code) => { this.#send([{ data: registerResult(code), host, port }]) })
  }

  /** Of the operator, who is on this machine. */
  configure ({ serial, rendezvous_servers: servers }: Members['configure_update']): void {
    const { serverList } = this.#state
    if (!isLoopback(this.#host) || serial <= serverList.serial) return
    serverList.serial = serial
    serverList.servers = servers.filter((server) => relayEndpoint(server) !== undefined).slice(0, MOST_SERVERS)
  }

  updateSoftware ({ url }: Members['software_update']): void {
    const { softwareUrl, softwareVersion } = this.#state.settings
    if (softwareVersion !== '' && url !== softwareVersion) this.#inform({ software_update: { url: softwareUrl } })
  }

  discover (search: Members['peer_discovery']): void {
    const found = this.#discovery.answers(search, this.#host)
    if (found === undefined) this.ignore()
    else for (const peer of found) this.#answer(encode(peer))
  }

  ignore (): void { this.#state.totals.drops.unserved++ }

  #read (data: Uint8Array, host: string, port: number): RendezvousMessage | undefined {
    const { totals, refusals } = this.#state
    try {
      const message = rendezvous.decode(data)
      if (message.union !== undefined) countMessage(totals, 'udp', message.union)
      return message
    } catch {
      totals.drops.malformed++
      refusals.add({ reason: 'malformed', way: 'udp', client: { host: this.#fold(host), port } })
      return undefined
    }
  }

  #fold (host: string): string {
    const known = this.#folded.get(host)
    if (known !== undefined) return known
    if (this.#folded.size >= MOST_HOSTS) this.#folded.clear()
    const folded = foldAddress(host)
    this.#folded.set(host, folded)
    return folded
  }

  /** Answers with what is longer than the question, whose sender may be forged: so it is bounded. */
  #inform (message: RendezvousInit): void {
    if (this.#updates.allows({ host: this.#host, port: this.#senderPort }, this.#now)) this.#answer(encode(message))
    else this.#state.totals.drops.pushes++
  }

  #answer (data: Uint8Array): void { this.#answers.push({ data, host: this.#sender, port: this.#senderPort }) }

  #send (answers: Batch<Datagram>): void { this.#state.totals.drops.queue += answers.length - this.#port.send(answers) }
}

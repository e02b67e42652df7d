/** What other clients reach from here: TCP connections and UDP sockets (natpass protocol, section 6.5). */
import { isIP } from 'node:net'
import type { Allowances } from './allowances.ts'
import { exchange, IDLE_TIMEOUT, type LostDatagrams } from './datagrams.ts'
import type { AddressCheck } from './port-patterns.ts'
import type { LinkRequest, LinkResponse } from '../protocol/link-codec.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { printable } from '../../../text/printable.ts'
import type { Opening } from '../../../transforms/link-mux/index.ts'
import { systemLookup, type Lookup } from '../../../transports/happy-eyeballs.ts'
import { dialTcp } from '../../../transports/tcp.ts'
import { dialUdp } from '../../../transports/udp/dial.ts'
import type { Address, Clock, Link } from '../../../types.ts'

/** Bytes of each buffer of the kernel of one socket: a peer may have many. */
const KERNEL_BUFFER = 256 << 10

/** Milliseconds for a connection, and for a look-up. */
const DIAL_TIMEOUT = 10_000

type NatpassOpening = Opening<LinkRequest, LinkResponse>

export interface PortsInit {
  allowances: Allowances
  clock: Clock
  lost: LostDatagrams
  /** Default: that of the system. */
  lookup?: Lookup
}

/** Where to dial. A name is resolved once, and only by `lookup`, which leaves out what is not allowed. */
interface Target extends Address {
  readonly lookup: Lookup
  readonly timeout: number
  readonly clock: Clock
}

export class Ports {
  readonly #init: PortsInit

  constructor (init: PortsInit) { this.#init = init }

  /** Connects to what an opening asks for. @throws an error for its client when that is not allowed, or nobody is there */
  async connect (opening: NatpassOpening): Promise<Link> { return await dialTcp(this.#target(opening, 'tcp')) }

  /** Accepts an opening, and passes datagrams on until either end has ended, or none came for a minute. @throws as `connect` */
  async exchange (opening: NatpassOpening, onOpen: () => void, onEnd: () => void): Promise<void> {
    const { lost } = this.#init
    const udp = await dialUdp({ ...this.#target(opening, 'udp'), idleTimeout: IDLE_TIMEOUT, kernelBuffer: KERNEL_BUFFER, errors: lost.errors })
    let link
    try {
      link = opening.accept({}, { messages: true })
    } catch (err) {
      udp.abort(err as Error)
      throw err
    }
    onOpen()
    await exchange(udp, link, lost)
    onEnd()
  }

  /** @throws an error for its client when it is not allowed */
  #target ({ request: { client, request: { caddr } }, signal }: NatpassOpening, type: 'tcp' | 'udp'): Target {
    const { allowances, clock, lookup = systemLookup } = this.#init
    const [host, port] = [caddr?.addr ?? '', caddr?.port ?? 0]
    if (host === '' || port < 1 || port > 65_535) throw new Error('not an address and a port')
    const refused = (why = ''): Error => new Error(`${type} to ${printable(endpointText({ host, port }))} is not allowed here${why}`)
    const check = allowances.addressCheck(client, type, host, port)
    if (check === undefined || (isIP(host) !== 0 && !check(host))) throw refused()
    return { host, port, signal, clock, timeout: DIAL_TIMEOUT, lookup: checkedLookup(lookup, check, () => refused(', by its address')) }
  }
}

const checkedLookup = (lookup: Lookup, check: AddressCheck, refused: () => Error): Lookup => async (name) => {
  const allowed = (await lookup(name)).filter(({ address }) => check(address))
  if (allowed.length === 0) throw refused()
  return allowed
}

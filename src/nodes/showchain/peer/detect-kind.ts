/** The kind of the NAT in front of this machine, found once, without a node that goes on (SHOW CHAIN protocol, section 4.1). */
import { endpointText } from '../../../net/endpoint.ts'
import { normalizeAddress } from '../../../net/client-address.ts'
import { systemClock } from '../../../streams/clock.ts'
import { bindUdp } from '../../../transports/udp/bind.ts'
import type { Clock, Endpoint } from '../../../types.ts'
import type { Identity } from '../protocol/identity.ts'
import { idText } from '../protocol/public-key.ts'
import { PublicKeys } from '../protocol/public-keys.ts'
import { Sequence } from '../protocol/sequence.ts'
import { addressFinder } from './address-finder.ts'
import { askForId, findKind, type KindReport, type KnownHelper } from './kind-finder.ts'
import type { Bind } from './node.ts'
import { NodeSocket } from './node-socket.ts'

/** Options of {@link detectKind}. */
export interface DetectKindInit {
  identity: Identity
  /** Helpers; two at different addresses are needed. */
  bootstrap: readonly Endpoint[]
  /** The local address and port of the socket whose NAT it is. Default: all addresses of IPv4, any port. */
  host?: string
  port?: number
  /** Default: `bindUdp`. */
  bind?: Bind
  /** Finds the address of a name. Default: by the resolver of the machine. */
  lookup?: (host: string) => Promise<string>
  keys?: PublicKeys
  clock?: Clock
  /** False: nothing is done on other threads. Default: true. */
  threads?: boolean
  signal?: AbortSignal
}

/** What a helper has said. */
export interface AskedHelper {
  /** `host:port`, as it was named. */
  name: string
  /** The text form of its id; undefined: it has not answered. */
  id: string | undefined
  /** Why there is no id. */
  reason: string | undefined
}

/** The kind, why it is that, and who was asked. */
export interface DetectedKind {
  /** Undefined where fewer than two helpers have answered. */
  report: KindReport | undefined
  helpers: AskedHelper[]
}

interface Asked extends AskedHelper {
  readonly known: KnownHelper | undefined
}

/** @throws what binding throws, or the reason of the signal */
export async function detectKind (init: DetectKindInit): Promise<DetectedKind> {
  const { identity, bootstrap, host = '0.0.0.0', port = 0, bind = bindUdp, keys = new PublicKeys(), clock = systemClock, threads = true, signal = new AbortController().signal } = init
  const lookup = init.lookup ?? addressFinder(host)
  const sequence = new Sequence(clock)
  const sockets: NodeSocket[] = []
  const open = async (port: number): Promise<NodeSocket> => {
    const socket = new NodeSocket({ socket: await bind({ host, port }), clock, identity, sequence, keys, threads })
    socket.run().catch(() => {}) // what is asked by it has no answer then
    sockets.push(socket)
    return socket
  }
  try {
    const [socket, scout] = [await open(port), await open(0)]
    const asked = await Promise.all(bootstrap.map(async (named): Promise<Asked> => {
      const name = endpointText(named)
      try {
        const endpoint = { host: await lookup(named.host), port: named.port }
        const id = await askForId(scout.requests, endpoint)
        return id === undefined ? { name, id, reason: 'no answer', known: undefined } : { name, id: idText(id), reason: undefined, known: { endpoint, id } }
      } catch (err) {
        return { name, id: undefined, reason: (err as Error).message, known: undefined }
      }
    }))
    signal.throwIfAborted()
    const helpers = asked.map(({ name, id, reason }) => ({ name, id, reason }))
    const [first, ...others] = asked.flatMap(({ known }) => known ?? [])
    const second = others.find(({ endpoint }) => normalizeAddress(endpoint.host) !== normalizeAddress(first.endpoint.host)) ?? others.at(0)
    if (second === undefined) return { report: undefined, helpers }
    return { report: await findKind({ clock, requests: socket.requests, helpers: [first, second], signal }), helpers }
  } finally {
    for (const socket of sockets) socket.close()
  }
}

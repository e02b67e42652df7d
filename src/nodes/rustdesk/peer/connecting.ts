/** How a controlling peer finds a path to another one (RustDesk protocol, section 6.4). */
import { randomUUID } from 'node:crypto'
import { openCertificate } from './certificate.ts'
import { CLIENT_VERSION } from './client-version.ts'
import { ConnectError, type ConnectFailure } from './errors.ts'
import type { PeerPath, Reached } from './paths.ts'
import { dialRelay, readRelay, relayBeside } from './relay-leg.ts'
import { ServerConnection, type DialServerInit } from './server-connection.ts'
import type { PeerDialInit, PeerLink, PeerTransport } from './transport.ts'
import { NatType, PunchFailure, RELAY_OFFLINE } from '../protocol/enums.ts'
import { unmangleAddress } from '../protocol/mangled-address.ts'
import { frames, type Members, type RendezvousInit, type RendezvousMessage } from '../protocol/messages.ts'
import { over } from '../../../layer.ts'
import type { Nacl } from '../../../crypto/nacl/index.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { wait } from '../../../streams/clock.ts'
import { printable, reasonOf } from '../../../text/printable.ts'
import type { Clock, Endpoint, Link } from '../../../types.ts'

/** Milliseconds for the answer to each question for a path, and to one for a relay. */
const ASK_TIMEOUTS = [3000, 6000, 9000] as const
const RELAY_TIMEOUT = 18_000
const RELAY_TRIES = 3

/** Milliseconds to connect directly: where that is likely, where it is not, and the multiple of the time that the server took else. */
const LIKELY_TIMEOUT = 18_000
const UNLIKELY_TIMEOUT = 1000
const TIMES = 6

/** Milliseconds between attempts while the other peer refuses, as it listens only after its address is told; and for all of them. */
const REFUSED_WAIT = 50
const REFUSED_LIMIT = 1000

/** A connection for ports. */
const PORT_FORWARD = 2

export interface ConnectingInit {
  transport: PeerTransport
  clock: Clock
  nacl: Nacl
  /** As it was named; and its address. */
  server: Endpoint
  address: Endpoint
  /** Of the peer that is wanted. */
  id: string
  /** What the server has to be told. */
  key: string
  /** What the server signs with. */
  serverKey: Uint8Array
  /** The relay to use in place of that which the other peer tells. */
  relay: Endpoint | undefined
  isDirect: boolean
  natType: number
  signal: AbortSignal
  /**
   * Makes a session of a connection; aborts the connection when there is none.
   *
   * @param publicKey of the other peer
   * @returns a link of sealed frames
   */
  handshake (reached: Reached, publicKey: Uint8Array): Promise<Link>
  /** A step, for people. */
  note (text: string): void
}

/** A session with the other peer. */
export interface Found {
  /** Of sealed frames. */
  readonly link: Link
  readonly path: PeerPath
}

/** What no other path would change. */
const FINAL: readonly ConnectFailure[] = ['refused', 'not-tunpipe']

/**
 * @throws {ConnectError} when the server, or the other peer, refuses, or no path comes about; an error of the system when the server cannot be
 *   reached
 */
export async function findPath (init: ConnectingInit): Promise<Found> {
  const { clock, isDirect, note } = init
  const connection = await ServerConnection.dial(dialInit(init))
  const askedAt = clock.now()
  let answer: RendezvousMessage
  try {
    answer = await ask(connection, init)
  } finally {
    void connection.close()
  }
  const took = clock.now() - askedAt
  const { punch_hole_response: punch, relay_response: relayed } = answer as RendezvousMessage & Partial<Members>
  if (relayed != null) {
    const publicKey = keyOf(init, relayed.pk ?? new Uint8Array(0))
    note(`the other peer wants the relay ${printable(relayed.relay_server)}`)
    return await byRelay(init, publicKey, relayed.relay_server, relayed.uuid, 'the other peer wants a relay: its NAT is symmetric, or it takes no direct path')
  }
  if (punch == null) throw new ConnectError('refused', 'the server says what was not asked for')
  const publicKey = keyOf(init, punch.pk)
  const endpoint = unmangleAddress(punch.socket_addr)
  const found = isDirect ? await direct(init, publicKey, punch, endpoint, connection.local, took) : 'direct paths are off'
  if (typeof found !== 'string') return found
  note(found)
  return await askRelay(init, publicKey, punch.relay_server, found)
}

/** The question for a path, again on the same connection while there is no answer. */
async function ask (connection: ServerConnection, { id, key, natType, isDirect, note }: ConnectingInit): Promise<RendezvousMessage> {
  const question: RendezvousInit = { punch_hole_request: { id, nat_type: isDirect ? natType : NatType.symmetric, licence_key: key, conn_type: PORT_FORWARD, version: CLIENT_VERSION, force_relay: !isDirect } }
  for (const timeout of ASK_TIMEOUTS) {
    connection.send(question)
    const answer = await connection.next(answerOf, timeout)
    if (answer === undefined) {
      note('no answer of the server')
      continue
    }
    const refusal = refusalOf(id, answer)
    if (refusal !== undefined) throw refusal
    return answer
  }
  throw new ConnectError('offline', `no answer about ${id}: it, or the server, may have gone without a word`)
}

/** A message that answers a question for a path, or for a relay. */
const answerOf = (message: RendezvousMessage): RendezvousMessage | undefined => message.union === 'punch_hole_response' || message.union === 'relay_response' ? message : undefined

function refusalOf (id: string, { punch_hole_response: punch, relay_response: relay }: RendezvousMessage): ConnectError | undefined {
  const offline = new ConnectError('offline', `${id} is offline: it has registered before, and is not there now`)
  if (relay?.refuse_reason === RELAY_OFFLINE) return offline
  if (relay != null) return relay.refuse_reason == null || relay.refuse_reason === '' ? undefined : new ConnectError('refused', `the server refuses: ${printable(relay.refuse_reason)}`)
  if (punch == null || (punch.socket_addr?.length ?? 0) > 0) return undefined
  if (punch.other_failure != null && punch.other_failure !== '') return new ConnectError('refused', `the server refuses: ${printable(punch.other_failure)}`)
  switch (punch.failure ?? PunchFailure.idNotExist) {
    case PunchFailure.idNotExist: return new ConnectError('unknown-id', `no peer with the id ${id} has registered at this server`)
    case PunchFailure.offline: return offline
    case PunchFailure.licenseMismatch: return new ConnectError('wrong-key', 'the server has another key than --key')
    default: return new ConnectError('overuse', 'the server allows no more connections by its licence')
  }
}

/** What the server has signed of the other peer. */
function keyOf ({ nacl, id, serverKey }: ConnectingInit, signed: Uint8Array): Uint8Array {
  const certified = openCertificate(nacl, signed, serverKey)
  if (certified === undefined) throw new ConnectError('untrusted', signed.length === 0 ? `the server tells no key of ${id}: it signs none, or that peer has none` : 'the server signs with another key than --key')
  if (certified.id !== id) throw new ConnectError('untrusted', `the server tells the key of another peer than ${id}`)
  return certified.publicKey
}

/** @returns why there is no direct path, else the path */
async function direct ({ transport, clock, natType, signal, handshake, note }: ConnectingInit, publicKey: Uint8Array, { is_local: isLocal, nat_type: other }: Members['punch_hole_response'], endpoint: Endpoint, from: Endpoint, took: number): Promise<Found | string> {
  if (endpoint.port === 0) return 'the server tells no address of the other peer'
  const isUnlikely = isLocal === true || other === NatType.symmetric || (natType === NatType.symmetric && other === NatType.asymmetric)
  const isLikely = natType === NatType.asymmetric && other === NatType.asymmetric
  const timeout = isUnlikely ? UNLIKELY_TIMEOUT : isLikely ? LIKELY_TIMEOUT : Math.max(UNLIKELY_TIMEOUT, Math.min(LIKELY_TIMEOUT, TIMES * took))
  note(`the other peer is at ${endpointText(endpoint)}${isLocal === true ? ', in this network' : ''}`)
  try {
    const link = await dialListening({ transport, clock }, { ...endpoint, localHost: from.host, localPort: from.port, sharesPort: true, timeout, signal })
    const path: PeerPath = { kind: isLocal === true ? 'local' : 'direct', endpoint, why: isLocal === true ? 'the server sees both at one address' : 'the NATs let both in' }
    return { link: await handshake({ link: over(link, frames), path }, publicKey), path }
  } catch (err) {
    if (signal.aborted) throw signal.reason
    if (err instanceof ConnectError && FINAL.includes(err.reason)) throw err
    return `no direct path to ${endpointText(endpoint)}: ${reasonOf(err as Error)}`
  }
}

/** Connects to a peer that may not listen yet. */
async function dialListening ({ transport, clock }: Pick<ConnectingInit, 'transport' | 'clock'>, to: PeerDialInit): Promise<PeerLink> {
  const end = clock.now() + REFUSED_LIMIT
  for (;;) {
    try {
      return await transport.dial(to)
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== 'ECONNREFUSED' || clock.now() >= end) throw err
      await wait(clock, REFUSED_WAIT, { signal: to.signal })
    }
  }
}

/** The other peer is asked to come to a relay. */
async function askRelay (init: ConnectingInit, publicKey: Uint8Array, told: string, why: string): Promise<Found> {
  const { server, id, relay: own, note } = init
  const relay = own ?? readRelay(told) ?? relayBeside(server)
  for (let tries = 0; tries < RELAY_TRIES; tries++) {
    const uuid = randomUUID()
    const connection = await ServerConnection.dial(dialInit(init))
    try {
      connection.send({ request_relay: { id, uuid, relay_server: endpointText(relay), secure: true } })
      const answer = await connection.next(answerOf, RELAY_TIMEOUT)
      const refusal = answer === undefined ? undefined : refusalOf(id, answer)
      if (refusal !== undefined) throw refusal
      if (answer !== undefined) return await byRelay(init, publicKey, endpointText(relay), uuid, why)
    } finally {
      void connection.close()
    }
    note(`no answer about the relay ${endpointText(relay)}`)
  }
  throw new ConnectError('unreachable', `${id} cannot be reached: ${why}, and it has not come to the relay ${endpointText(relay)}: no answer`)
}

async function byRelay ({ transport, server, id, key, relay: own, signal, handshake }: ConnectingInit, publicKey: Uint8Array, told: string, uuid: string, why: string): Promise<Found> {
  const relay = own ?? readRelay(told) ?? relayBeside(server)
  const path: PeerPath = { kind: 'relay', endpoint: relay, why }
  const link = await dialRelay({ transport, relay, uuid, key, id, signal }).catch((err: Error) => {
    if (signal.aborted) throw signal.reason
    throw new ConnectError('unreachable', `the relay ${endpointText(relay)} cannot be reached: ${reasonOf(err)}`, { cause: err })
  })
  return { link: await handshake({ link, path }, publicKey), path }
}

const dialInit = ({ transport, clock, address, signal }: ConnectingInit): DialServerInit => ({ transport, clock, server: address, signal })

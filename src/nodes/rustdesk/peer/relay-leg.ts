/** A connection to another peer by a relay (RustDesk protocol, section 6.6). */
import { CONNECT_TIMEOUT } from './server-connection.ts'
import type { PeerTransport } from './transport.ts'
import { frames, rendezvous } from '../protocol/messages.ts'
import { LinkClosedError } from '../../../errors.ts'
import { over } from '../../../layer.ts'
import { readHost, readRemote } from '../../../net/endpoint.ts'
import type { Endpoint, Link } from '../../../types.ts'

/** Of relays whose port is not told. */
const RELAY_PORT = 21_117

/** By which two peers find each other: others choose it, and where it is said, so it must not be a line of the protocol of another service. */
const UUID = /^[\w-]{1,128}$/

/** The relay by its text in a message; undefined when there is none that can be used. */
export function readRelay (text: string): Endpoint | undefined {
  const host = readHost(text)
  return host === undefined ? readRemote(text) : { host, port: RELAY_PORT }
}

/** The relay of a server that tells none. */
export const relayBeside = ({ host, port }: Endpoint): Endpoint => ({ host, port: port + 1 })

export interface RelayLegInit {
  transport: PeerTransport
  relay: Endpoint
  /** By which both peers find each other there. */
  uuid: string
  /** What the relay has to be told. */
  key: string
  /** Of the peer that is wanted; undefined for that peer itself. */
  id?: string
  signal?: AbortSignal
}

/**
 * Asks a relay for the other peer. Nothing answers: frames of the other peer come when it is there.
 *
 * @returns a link of frames
 * @throws {LinkClosedError} for a uuid that is none; an error of the system, `DialTimeoutError`, or the reason of the signal
 */
export async function dialRelay ({ transport, relay: { host, port }, uuid, key, id, signal }: RelayLegInit): Promise<Link> {
  if (!UUID.test(uuid)) throw new LinkClosedError('what is told to be said at the relay is no uuid')
  const link = over(await transport.dial({ host, port, timeout: CONNECT_TIMEOUT, ...(signal !== undefined && { signal }) }), frames)
  if (link.port.send([rendezvous.encode({ request_relay: { ...(id !== undefined && { id }), uuid, licence_key: key } })]) > 0) return link
  const err = new LinkClosedError('the relay takes nothing')
  link.abort(err)
  throw err
}

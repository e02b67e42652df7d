/** A rendezvous server on its ports: UDP and TCP on P, NAT tests on the one before it, WebSocket on the second after it. */
import { acceptNatTest } from './nat-query.ts'
import { clientOf } from './client-headers.ts'
import type { PeerExplanation } from './explanation.ts'
import { listenOptions } from './options.ts'
import { Rendezvous, type RendezvousLink } from './rendezvous.ts'
import type { RendezvousOptions, RendezvousServerInit } from './settings.ts'
import type { RendezvousStatus } from './status.ts'
import { MAX_MESSAGE, rendezvousMessages } from '../protocol/messages.ts'
import { readOptions, rejectOption, type InitOf } from '../../common/options/option.ts'
import { over } from '../../../layer.ts'
import { silent } from '../../../log.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { systemClock } from '../../../streams/clock.ts'
import { consume } from '../../../streams/consume.ts'
import { websocketFrames } from '../../../transforms/websocket-frames/index.ts'
import { acceptEach } from '../../../transports/acceptor.ts'
import { overAccepted, type ConnectionInfo } from '../../../transports/connection-guard.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import { listenTcp } from '../../../transports/tcp.ts'
import { bindUdp } from '../../../transports/udp/bind.ts'
import type { UdpSocket } from '../../../transports/udp/socket.ts'
import { listenUpgraded } from '../../../transports/upgrade.ts'
import type { Link, Listener } from '../../../types.ts'

/** The lowest port, as with the original. */
const LOWEST_PORT = 3

/** Bytes of datagrams that wait in the process, in either direction. */
const UDP_LIMIT = 4 << 20

/** Bytes that a connection may have queued: it gets one answer. */
const QUEUE_LIMIT = 256 * 1024

/** Milliseconds of silence until the system asks a client whether it is still there. */
const KEEP_ALIVE = 30_000

/** All options of {@link serveRendezvous}. */
export type ServeRendezvousInit = RendezvousServerInit & InitOf<typeof listenOptions> & {
  /** Commands from the loopback on the port in front of P. Default: true. */
  console?: boolean
}

/** The ports in use. */
export interface RendezvousPorts {
  readonly udp: number
  readonly tcp: number
  readonly natTest: number
  readonly webSocket: number
}

/** The status of a server on its ports. */
export interface RendezvousServerStatus extends RendezvousStatus {
  /** `rustdesk://[::]:21116`, the address of P. */
  url: string
  /** Datagrams that came faster than they were read. */
  lostDatagrams: number
}

/** A server that runs. */
export interface RendezvousServer {
  readonly rendezvous: Rendezvous
  readonly url: string
  readonly ports: RendezvousPorts
  /** @throws {OptionError} when an option is invalid; then nothing has changed */
  configure (options: RendezvousOptions): void
  /** The current state, for display. */
  status (): RendezvousServerStatus
  /** Why a peer is reached or not. Rejects when the store cannot be read. */
  explain (id: string): Promise<PeerExplanation>
  /** Stops listening, ends all connections, and settles when they have ended. */
  close (): Promise<void>
}

/** Messages of WebSocket are messages; text is ignored. */
const webSocketFrames = websocketFrames({ role: 'server', maxPayload: MAX_MESSAGE })

function webSocketMessages <L extends Link & ConnectionInfo> (link: L): RendezvousLink {
  const frames = webSocketFrames(link)
  frames.onText = () => {}
  return Object.assign(over(frames, rendezvousMessages), { remote: link.remote, incomplete: { get capacity () { return frames.held ?? 0 } } })
}

/**
 * Listens and serves.
 *
 * @throws {OptionError} when an option is invalid; an error of the system (`EADDRINUSE`, `EACCES`, ...) when it cannot listen
 */
export async function serveRendezvous ({ port, bind, rmem, trustedProxies, console = true, ...init }: ServeRendezvousInit): Promise<RendezvousServer> {
  const at = readOptions(listenOptions, { port, bind, rmem, trustedProxies })
  if (at.port > 0 && at.port < LOWEST_PORT) rejectOption(['port'], `too low, as the one before it is used as well: expected 0, or ${LOWEST_PORT} at least`)
  const { log = silent, clock = systemClock } = init
  const rendezvous = new Rendezvous(init)
  const listeners: Array<Listener<Link & ConnectionInfo>> = []
  let socket: UdpSocket | undefined
  const close = async (): Promise<void> => {
    for (const listener of listeners) listener.close()
    socket?.close()
    await rendezvous.close()
  }
  const listen = async <L extends Link & ConnectionInfo>(listener: Listener<L>, accept: (link: L) => void): Promise<number> => {
    listeners.push(listener)
    const port = await listener.port()
    acceptEach(listener, accept, (err, { remote }) => { log.error({ remote, err }, 'connection ended by a fault of the server') })
      .catch((err) => { log.error({ port, err }, 'no connections are accepted there any more') })
    return port
  }
  const shared = {
    host: at.bind,
    limiter: rendezvous.limiter,
    queueLimit: QUEUE_LIMIT,
    keepAlive: KEEP_ALIVE,
    log,
    clock,
    onProtocolMismatch: (mismatch: ProtocolMismatch) => { rendezvous.protocolMismatch(mismatch) }
  }
  const offset = (by: number): number => at.port === 0 ? 0 : at.port + by
  try {
    socket = await bindAll(at)
    const { local } = socket
    const receiver = rendezvous.datagrams(socket.port)
    consume(socket, (batch) => { receiver.receive(batch) }).catch((err) => { log.error({ at: endpointText(local), err }, 'no datagrams are served there any more') })
    const ports = {
      udp: local.port,
      tcp: await listen(listenTcp({ ...shared, port: offset(0) }), (link) => { void rendezvous.accept(overAccepted(link, rendezvous.tcpMessages), 'tcp') }),
      natTest: await listen(listenTcp({ ...shared, port: offset(-1) }), (link) => { void acceptNatTest(rendezvous, link, { hasConsole: console, clock }) }),
      webSocket: await listen(listenUpgraded({ ...shared, port: offset(2), trustedProxies: at.trustedProxies, clientOf }), (link) => { void rendezvous.accept(overAccepted(link, webSocketMessages), 'websocket') })
    }
    const url = `rustdesk://${endpointText({ host: local.host, port: ports.udp })}`
    const udp = socket
    return {
      rendezvous,
      url,
      ports,
      configure: (options) => { rendezvous.configure(options) },
      status: () => ({ url, lostDatagrams: udp.dropped, ...rendezvous.status() }),
      explain: (id) => rendezvous.explain(id),
      close
    }
  } catch (err) {
    await close()
    throw err
  }
}

/** All addresses are those of both families, where the system has them. */
async function bindAll ({ bind: host, port, rmem }: { bind: string | undefined, port: number, rmem: number }): Promise<UdpSocket> {
  const limits = { sendLimit: UDP_LIMIT, receiveLimit: UDP_LIMIT, kernelBuffer: rmem === 0 ? undefined : rmem }
  if (host !== undefined) return await bindUdp({ host, port, ...limits })
  try {
    return await bindUdp({ host: '::', port, ...limits })
  } catch (err) {
    if (!['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'].includes((err as NodeJS.ErrnoException).code ?? '')) throw err
    return await bindUdp({ host: '0.0.0.0', port, ...limits })
  }
}

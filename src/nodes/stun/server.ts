/** A server of STUN on UDP: two ports of one address, or of two. */
import { stunOptions, verifyStun } from './options.ts'
import { readOptions, rejectOption, type InitOf } from '../common/options/option.ts'
import { silent, type Logger } from '../../log.ts'
import { StunResponder, type StunResponderStats } from '../../nat/index.ts'
import { endpointText } from '../../net/endpoint.ts'
import { consume } from '../../streams/consume.ts'
import { systemClock } from '../../streams/clock.ts'
import { bindUdp, type BindUdpInit } from '../../transports/udp/bind.ts'
import type { Batch, Clock, Datagram, DatagramSocket, Endpoint } from '../../types.ts'

/** Bytes: requests and responses are short, and what a flood fills is not worth more. */
const BUFFERS = { sendLimit: 64 * 1024, receiveLimit: 256 * 1024, kernelBuffer: 512 * 1024 }

/** How often two free ports in a row are looked for. */
const ATTEMPTS = 16

/** Options of {@link serveStun}. */
export type StunServerInit = InitOf<typeof stunOptions> & {
  log?: Logger
  /** Default: that of the system. */
  clock?: Clock
  /** Binds its sockets: `bindUdp` of a host, in a simulated network. Default: that of the system. */
  bind?: (init: BindUdpInit) => Promise<DatagramSocket>
}

/** Counters since the start, and where it listens. */
export interface StunServerStatus extends Omit<StunResponderStats, 'drops'> {
  /** `udp://192.0.2.1:3478`, the first of its endpoints. */
  url: string
  /** Where it listens, as text: two ports of each address. */
  endpoints: string[]
  /** As those of the responder; `queue`: responses that the system had no room for, and requests that came faster than they were read. */
  drops: StunResponderStats['drops'] & { queue: number }
}

/** A server that runs. */
export interface StunServer {
  /** `udp://192.0.2.1:3478`. */
  readonly url: string
  /** The current state, for display. */
  status (): StunServerStatus
  /** Closes its sockets. The ports are free when it has settled. */
  close (): Promise<void>
}

/**
 * Listens and answers.
 *
 * @throws {OptionError} when an option is invalid; an error of the system (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, ...) when it cannot listen
 */
export async function serveStun ({ log = silent, clock = systemClock, bind = bindUdp, ...init }: StunServerInit): Promise<StunServer> {
  const { listen, second, sourceRate, totalRate } = readOptions(stunOptions, init)
  verifyStun({ listen, second }, 'listen', (detail) => rejectOption(['second'], detail))
  const hosts = second === undefined ? [listen.host] : [listen.host, second]
  const sockets = await bindPairs(hosts, listen.port, (at) => bind({ ...at, ...BUFFERS }))
  const endpoints = sockets.map(({ local: { host, port } }) => ({ host, port }))
  const responder = new StunResponder({ endpoints, source: { rate: sourceRate, burst: sourceRate * 10 }, total: { rate: totalRate } }, clock.now())
  let unsent = 0
  const take = (batch: Batch<Datagram>, at: number): void => {
    const now = clock.now()
    const responses = batch.flatMap((datagram) => responder.receive(datagram, at, now))
    for (const [i, { port }] of sockets.entries()) {
      const own = responses.filter(({ from }) => from === i).map(({ to, data }) => ({ ...to, data }))
      if (own.length > 0) unsent += own.length - port.send(own)
    }
  }
  const reading = sockets.map((socket, at) => consume(socket, (batch) => { take(batch, at) }).catch((err) => {
    log.error({ at: endpointText(socket.local), err }, 'no STUN is answered there any more')
  }))
  const url = `udp://${endpointText(endpoints[0])}`
  return {
    url,
    status () {
      const { drops, ...stats } = responder.stats
      return { url, endpoints: endpoints.map(endpointText), ...stats, errors: { ...stats.errors }, drops: { ...drops, queue: sockets.reduce((sum, { dropped }) => sum + dropped, unsent) } }
    },
    async close () {
      for (const socket of sockets) socket.close()
      await Promise.all(reading)
    }
  }
}

/** Two sockets for each host, in the order of `StunResponder`: all, or none. */
async function bindPairs (hosts: readonly string[], port: number, bind: (at: Endpoint) => Promise<DatagramSocket>): Promise<DatagramSocket[]> {
  for (let left = port === 0 ? ATTEMPTS : 1; ; left--) {
    const sockets: DatagramSocket[] = []
    try {
      for (const host of hosts) {
        for (const offset of [0, 1]) {
          const first = port === 0 && sockets.length > 0 ? sockets[0].local.port : port
          sockets.push(await bind({ host, port: first === 0 ? 0 : first + offset }))
        }
      }
      return sockets
    } catch (err) {
      for (const socket of sockets) socket.close()
      const isTaken = sockets.length > 0 && ((err as NodeJS.ErrnoException).code === 'EADDRINUSE' || sockets[0].local.port === 65_535)
      if (!isTaken || left === 1) throw err
    }
  }
}

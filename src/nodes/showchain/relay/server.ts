/** A helper and proxy on its ports: UDP, and a second port for answers that come from elsewhere. */
import { lastingOptions } from './options.ts'
import { ShowchainRelay, type ShowchainRelayInit } from './relay.ts'
import type { ShowchainRelayOptions } from './settings.ts'
import type { NodeExplanation, ShowchainRelayStatus } from './status.ts'
import { readOptions } from '../../common/options/option.ts'
import { loadPssVerifier, loadSha256 } from '../../../crypto/index.ts'
import { silent } from '../../../log.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { systemClock } from '../../../streams/clock.ts'
import { bindUdp, type BindUdpInit } from '../../../transports/udp/bind.ts'
import type { DatagramSocket } from '../../../types.ts'

/** Bytes of datagrams that wait in the process, in either direction. */
const LIMITS = { sendLimit: 4 << 20, receiveLimit: 4 << 20 }

/** Of the second port, which sends a few messages and reads none. */
const SECOND_LIMITS = { sendLimit: 256 * 1024, receiveLimit: 64 * 1024, kernelBuffer: 256 * 1024 }

/** Options of {@link serveShowchain}. */
export type ServeShowchainInit = Omit<ShowchainRelayInit, 'socket' | 'second' | 'sha256' | 'verifier'> & {
  /** Binds its sockets: `bindUdp` of a host, in a simulated network. Default: that of the system. */
  bind?: (init: BindUdpInit) => Promise<DatagramSocket>
}

/** The status of a relay on its port. */
export interface ShowchainServerStatus extends ShowchainRelayStatus {
  /** `udp://0.0.0.0:7700`. */
  url: string
  /** Datagrams that came faster than they were read. */
  lostDatagrams: number
}

/** A relay that runs. */
export interface ShowchainServer {
  readonly relay: ShowchainRelay
  /** With the port in use. */
  readonly url: string
  /** @throws {OptionError} when an option is invalid; then nothing has changed */
  configure (options: ShowchainRelayOptions): void
  /** The current state, for display. */
  status (): ShowchainServerStatus
  /** Why a node can be reached through this relay, or not. @param id its text form; undefined when it is none */
  explain (id: string): NodeExplanation | undefined
  /** Closes its sockets, and settles when their ports are free. */
  close (): Promise<void>
}

/**
 * Listens and serves.
 *
 * @throws {OptionError} when an option is invalid; an error of the system (`EADDRINUSE`, `EACCES`, ...) when it cannot listen
 */
export async function serveShowchain ({ bind = bindUdp, ...init }: ServeShowchainInit): Promise<ShowchainServer> {
  const { log = silent, clock = systemClock } = init
  const { listen } = readOptions(lastingOptions, init)
  const socket = await bind({ ...listen, ...LIMITS })
  let second: DatagramSocket | undefined
  let relay: ShowchainRelay
  try {
    second = await bind({ host: listen.host, port: 0, ...SECOND_LIMITS })
    relay = new ShowchainRelay({ ...init, log, clock, sha256: await loadSha256(), verifier: await loadPssVerifier(), socket, second })
  } catch (err) {
    socket.close()
    second?.close()
    throw err
  }
  const running = relay.run().catch((err) => {
    log.error({ at: endpointText(socket.local), err }, 'no datagrams are served there any more')
  })
  const url = `udp://${endpointText(socket.local)}`
  return {
    relay,
    url,
    configure: (options) => { relay.configure(options) },
    status: () => ({ url, lostDatagrams: socket.dropped, ...relay.status() }),
    explain: (id) => relay.explain(id),
    async close () {
      relay.close()
      socket.close()
      second.close()
      await running
    }
  }
}

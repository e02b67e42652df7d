/**
 * The network that is warmed up: a relay, and a peer at each of two interfaces. They are connected over the loopback, by TCP and on direct
 * paths by UDP, as real ones are over a network: a pair of sockets without a port would have handles of another class.
 */
import { randomBytes } from 'node:crypto'
import { ADDRESSES, type Ends } from './ends.ts'
import { CandyPeer } from '../peer/peer.ts'
import { CandyRelay } from '../relay/relay.ts'
import { acceptEach } from '../../../transports/acceptor.ts'
import { overAccepted } from '../../../transports/connection-guard.ts'
import { listenUpgraded } from '../../../transports/upgrade.ts'
import { websocketFrames } from '../../../transforms/websocket-frames/index.ts'

const HOST = '127.0.0.1'

/** Which of the two peers look for direct paths: there is one when both do. */
export type Way = readonly [boolean, boolean]

export interface Network {
  readonly peers: readonly CandyPeer[]
  close (): Promise<void>
}

/**
 * Settles when both peers are online, or `given` is aborted, which it is when something fails, also later. Packets go through the relay
 * first, and directly as soon as there is a path.
 *
 * @throws an error of the system
 */
export async function openNetwork ({ tuns }: Ends, way: Way, given: AbortController): Promise<Network> {
  const password = randomBytes(16).toString('hex') // for nobody else on this machine
  const most = tuns.length
  const relay = new CandyRelay({ password, maxConnections: most, maxHalfOpen: most, maxPerSource: most })
  const listener = listenUpgraded({ host: HOST, port: 0, limiter: relay.limiter })
  const layers = websocketFrames({ ...relay.frames, role: 'server' })
  let accepted = 0
  void acceptEach(listener, (link) => {
    void relay.accept(overAccepted(link, layers))
    if (++accepted === most) listener.close() // the port is open for some milliseconds
  }, () => {}).catch(() => {}) // told by `port`
  const peers: CandyPeer[] = []
  const close = async (): Promise<void> => {
    listener.close()
    await Promise.allSettled([relay, ...peers].map((part) => part.close()))
  }
  try {
    const url = `ws://${HOST}:${await listener.port()}`
    for (const [i, tun] of tuns.entries()) peers.push(new CandyPeer({ url, password, address: `${ADDRESSES[i]}/24`, direct: way[i], localhost: HOST, stun: ['none'], noPortMapping: true, tun }))
    await Promise.all(peers.map((peer) => online(peer, given)))
    return { peers, close }
  } catch (err) {
    await close()
    throw err
  }
}

/** Starts a peer; settles when it is online, or `given` is aborted. */
function online (peer: CandyPeer, given: AbortController): Promise<void> {
  return new Promise((resolve) => {
    const fail = (): void => { given.abort() }
    given.signal.addEventListener('abort', () => { resolve() }, { once: true })
    peer.once('offline', fail)
    peer.once('failed', fail)
    peer.once('online', () => { resolve() })
    peer.start()
  })
}

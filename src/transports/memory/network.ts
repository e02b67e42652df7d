/** A transport inside one process, without delay or loss; see `simulation` for a network that has both. */
import { memoryPair } from './pair.ts'
import { acceptQueue, type AcceptQueue } from '../acceptor.ts'
import { DEFAULT_QUEUE_LIMIT, type StreamLinkInit } from '../stream-link.ts'
import { verifyBytes, verifyPort } from '../../options.ts'
import type { Link, Listener, Transport } from '../../types.ts'

/**
 * A network inside this process with its own ports; `host` is ignored.
 *
 * @throws {OptionError} when `queueLimit` is not a number of bytes
 */
export function memoryNetwork ({ queueLimit = DEFAULT_QUEUE_LIMIT }: StreamLinkInit = {}): Transport {
  verifyBytes('queueLimit', queueLimit)
  const ports = new Map<number, AcceptQueue<Link>>()
  return {
    capabilities: { halfClose: true },
    async dial ({ port, signal }) {
      signal?.throwIfAborted()
      const [here, there] = memoryPair({ queueLimit })
      if (ports.get(port)?.offer(there) !== true) throw Object.assign(new Error(`no listener on port ${port}`), { code: 'ECONNREFUSED' })
      return here
    },
    listen ({ port: wanted }) {
      verifyPort('port', wanted)
      return listenOn(ports, wanted)
    }
  }
}

/** A listener on one of the ports of a network, a free one for port 0. */
export function listenOn (ports: Map<number, AcceptQueue<Link>>, wanted: number): Listener {
  let port = wanted
  if (port === 0) for (port = 1; ports.has(port);) port++
  const failure = ports.has(port) ? Object.assign(new Error(`port ${port} is in use`), { code: 'EADDRINUSE' }) : undefined
  const queue = acceptQueue<Link>(() => { if (ports.get(port) === queue) ports.delete(port) })
  if (failure === undefined) ports.set(port, queue)
  else queue.fail(failure)
  return {
    async port () {
      if (failure !== undefined) throw failure
      return port
    },
    close: () => { queue.close() },
    [Symbol.asyncIterator]: () => queue.links()
  }
}

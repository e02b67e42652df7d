/** Listeners of a relay with workers: at each address all workers listen, or none. */
import type { Worker } from 'node:worker_threads'
import { AsyncQueue } from '../../../../streams/async-queue.ts'
import { certificateSetter, verifyCertificate, type TlsListener } from '../../../../transports/certificate.ts'
import { connectionGuard } from '../../../../transports/connection-guard.ts'
import type { ProtocolMismatch } from '../../../../transports/first-read.ts'
import type { ConnectionLimiter } from '../../../../limits/connection-limiter.ts'
import { bindShared } from '../../../../net/native/reuse-port.ts'
import type { BindOptions } from '../../../common/rebindable-listener.ts'
import type { WorkerCommand } from './messages.ts'
import type { RemoteLink } from './remote-link.ts'

/** An address at which all workers listen. */
interface SharedListener {
  readonly links: AsyncQueue<RemoteLink>
  /** The limiter for the connections of all workers. */
  readonly limiter: ConnectionLimiter
  onProtocolMismatch (mismatch: ProtocolMismatch): void
  /** Workers that have not confirmed yet that they listen, or that they have stopped. */
  waiting: number
  settle (err?: Error): void
}

export class SharedListeners {
  readonly #workers: readonly Worker[]
  readonly #broadcast: (command: WorkerCommand) => void
  /** Rejects when a worker has died, which would not answer any more. */
  readonly #failed: Promise<never>
  readonly #listeners = new Map<number, SharedListener>()
  /** Listeners being closed; until then their address cannot be used again. */
  readonly #closing = new Set<Promise<void>>()
  #nextNumber = 0

  /** @param broadcast sends a command to all workers */
  constructor (workers: readonly Worker[], broadcast: (command: WorkerCommand) => void, failed: Promise<never>) {
    this.#workers = workers
    this.#broadcast = broadcast
    this.#failed = failed
  }

  get (number: number): Pick<SharedListener, 'links' | 'limiter' | 'onProtocolMismatch'> | undefined { return this.#listeners.get(number) }

  /** A worker listens, has stopped listening, or cannot listen. */
  answered (number: number, err?: Error): void { this.#listeners.get(number)?.settle(err) }

  /** A worker has died. */
  failed (err: Error): void { for (const shared of this.#listeners.values()) shared.settle(err) }

  /** Listens in all workers. The port rejects with an error of the system. */
  listen (options: BindOptions, limiter: ConnectionLimiter, onProtocolMismatch: SharedListener['onProtocolMismatch']): TlsListener<RemoteLink> {
    const { tls, trustedProxies } = options
    if (tls !== undefined) verifyCertificate(tls)
    connectionGuard({ trustedProxies }) // for its check of the option
    const number = this.#nextNumber++
    const links = new AsyncQueue<RemoteLink>()
    const port = this.#open(number, options, { links, limiter, onProtocolMismatch })
    port.catch((err) => { links.fail(err) })
    return {
      port: () => port,
      close: () => { this.#close(number, links, port) },
      setCertificate: certificateSetter(tls && { setSecureContext: (tls: NonNullable<BindOptions['tls']>) => { this.#broadcast({ type: 'certificate', listener: number, tls }) } }, tls),
      async * [Symbol.asyncIterator] () {
        for await (const batch of links) yield * batch
      }
    }
  }

  async #open (number: number, options: BindOptions, shared: Pick<SharedListener, 'links' | 'limiter' | 'onProtocolMismatch'>): Promise<number> {
    await Promise.all(this.#closing)
    const { descriptors, port } = await bindShared(options, this.#workers.length)
    const listening = this.#awaited(number, shared)
    for (const [index, worker] of this.#workers.entries()) {
      worker.postMessage({ type: 'listen', listener: number, fd: descriptors[index], tls: options.tls, trustedProxies: options.trustedProxies } satisfies WorkerCommand)
    }
    try {
      await Promise.race([listening, this.#failed])
      return port
    } catch (err) {
      this.#listeners.delete(number)
      this.#broadcast({ type: 'unlisten', listener: number })
      throw err
    }
  }

  #close (number: number, links: AsyncQueue<RemoteLink>, port: Promise<number>): void {
    links.end()
    const left = port.then(async () => {
      const shared = this.#listeners.get(number)
      if (shared === undefined) return
      const closed = this.#awaited(number, shared)
      this.#broadcast({ type: 'unlisten', listener: number })
      await Promise.race([closed, this.#failed])
    }).catch(() => {}).finally(() => {
      this.#listeners.delete(number)
      this.#closing.delete(left)
    })
    this.#closing.add(left)
  }

  /** Settles when all workers have answered. */
  #awaited (number: number, { links, limiter, onProtocolMismatch }: Pick<SharedListener, 'links' | 'limiter' | 'onProtocolMismatch'>): Promise<void> {
    return new Promise((resolve, reject) => {
      const shared: SharedListener = {
        links,
        limiter,
        onProtocolMismatch,
        waiting: this.#workers.length,
        settle (err) {
          if (err !== undefined) reject(err)
          else if (--shared.waiting === 0) resolve()
        }
      }
      this.#listeners.set(number, shared)
    })
  }
}

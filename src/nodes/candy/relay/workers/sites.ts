/** The places where a relay listens: at each one all of its workers do, or none. */
import type { Worker } from 'node:worker_threads'
import { AsyncQueue } from '../../../../streams/async-queue.ts'
import { certificateSetter, verifyCertificate, type TlsListener } from '../../../../transports/certificate.ts'
import { connectionGuard } from '../../../../transports/connection-guard.ts'
import type { Foreigner } from '../../../../transports/first-read.ts'
import type { ConnectionLimiter } from '../../../../limits/connection-limiter.ts'
import { bindShared } from '../../../../net/native/reuse-port.ts'
import type { Place } from '../../../common/rebindable-listener.ts'
import type { Order } from './messages.ts'
import type { RemoteLink } from './remote-link.ts'

/** One place where all workers listen. */
interface Site {
  readonly links: AsyncQueue<RemoteLink>
  /** Who is let in, of all workers together. */
  readonly limiter: ConnectionLimiter
  onForeign (foreigner: Foreigner): void
  /** Workers of which nothing was heard yet: that they listen, or that they do so no more. */
  waiting: number
  settle (err?: Error): void
}

export class Sites {
  readonly #workers: readonly Worker[]
  readonly #all: (order: Order) => void
  /** Rejects when a worker has died: then there is nobody to wait for. */
  readonly #failed: Promise<never>
  readonly #sites = new Map<number, Site>()
  /** Places that are being left; until then they cannot be had again. */
  readonly #leaving = new Set<Promise<void>>()
  #made = 0

  /** @param all tells all workers */
  constructor (workers: readonly Worker[], all: (order: Order) => void, failed: Promise<never>) {
    this.#workers = workers
    this.#all = all
    this.#failed = failed
  }

  get (number: number): Pick<Site, 'links' | 'limiter' | 'onForeign'> | undefined { return this.#sites.get(number) }

  /** A worker has said that it listens, or does so no more, or why it cannot. */
  answered (number: number, err?: Error): void { this.#sites.get(number)?.settle(err) }

  /** A worker is no more. */
  failed (err: Error): void { for (const site of this.#sites.values()) site.settle(err) }

  /** Listens with all of them. The port rejects with what the system says. */
  listen (place: Place, limiter: ConnectionLimiter, onForeign: Site['onForeign']): TlsListener<RemoteLink> {
    const { tls, trustedProxies } = place
    if (tls !== undefined) verifyCertificate(tls)
    connectionGuard({ trustedProxies }) // throws for what are none
    const number = this.#made++
    const links = new AsyncQueue<RemoteLink>()
    const port = this.#open(number, place, { links, limiter, onForeign })
    port.catch((err) => { links.fail(err) })
    return {
      port: () => port,
      close: () => { this.#leave(number, links, port) },
      setCertificate: certificateSetter(tls && { setSecureContext: (tls: NonNullable<Place['tls']>) => { this.#all({ type: 'certificate', listener: number, tls }) } }, tls),
      async * [Symbol.asyncIterator] () {
        for await (const batch of links) yield * batch
      }
    }
  }

  async #open (number: number, place: Place, site: Pick<Site, 'links' | 'limiter' | 'onForeign'>): Promise<number> {
    await Promise.all(this.#leaving)
    const { descriptors, port } = await bindShared(place, this.#workers.length)
    const listening = this.#awaited(number, site)
    for (const [index, worker] of this.#workers.entries()) {
      worker.postMessage({ type: 'listen', listener: number, fd: descriptors[index], tls: place.tls, trustedProxies: place.trustedProxies } satisfies Order)
    }
    try {
      await Promise.race([listening, this.#failed])
      return port
    } catch (err) {
      this.#sites.delete(number)
      this.#all({ type: 'unlisten', listener: number })
      throw err
    }
  }

  #leave (number: number, links: AsyncQueue<RemoteLink>, port: Promise<number>): void {
    links.end()
    const left = port.then(async () => {
      const site = this.#sites.get(number)
      if (site === undefined) return
      const closed = this.#awaited(number, site)
      this.#all({ type: 'unlisten', listener: number })
      await Promise.race([closed, this.#failed])
    }).catch(() => {}).finally(() => {
      this.#sites.delete(number)
      this.#leaving.delete(left)
    })
    this.#leaving.add(left)
  }

  /** Settles when all workers have answered. */
  #awaited (number: number, { links, limiter, onForeign }: Pick<Site, 'links' | 'limiter' | 'onForeign'>): Promise<void> {
    return new Promise((resolve, reject) => {
      const site: Site = {
        links,
        limiter,
        onForeign,
        waiting: this.#workers.length,
        settle (err) {
          if (err !== undefined) reject(err)
          else if (--site.waiting === 0) resolve()
        }
      }
      this.#sites.set(number, site)
    })
  }
}

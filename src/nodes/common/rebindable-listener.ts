/** A listener that can change while it runs: another address, other proxies, another certificate. */
import { lookup } from 'node:dns/promises'
import type { TlsListener } from '../../transports/certificate.ts'
import type { TlsServerInit } from '../../transports/tls.ts'
import type { Link, Listener } from '../../types.ts'

/** Where to listen, and what changes with that. */
export interface BindOptions {
  /** A name or an address, IPv6 without brackets. */
  host: string
  /** 0 takes a free one. */
  port: number
  tls?: TlsServerInit
  trustedProxies?: readonly string[]
}

export interface RebindableListenerInit<L extends Link, At extends BindOptions = BindOptions> {
  listen (place: At): Listener<L> | TlsListener<L>
  /** Is given every link that comes in. */
  accept (link: L): void
}

/** Not for calls at the same time: whoever owns it puts them in a line. */
export class RebindableListener<L extends Link, At extends BindOptions = BindOptions> {
  readonly #init: RebindableListenerInit<L, At>
  #options: At
  #listener: Listener<L> | TlsListener<L> | undefined
  #port: number | undefined

  constructor (place: At, init: RebindableListenerInit<L, At>) {
    this.#options = place
    this.#init = init
  }

  get options (): At { return this.#options }

  /** The port that is really in use; undefined while it listens nowhere, after a change that has failed in the middle. */
  get port (): number | undefined { return this.#port }

  /** Begins to listen. Rejects with what the system says. */
  async open (): Promise<void> {
    await this.#open(this.#options)
  }

  /**
   * Listens there instead of where it does. Links that came in stay, and where only the certificate is another one, it is taken
   * for the handshakes from now on.
   *
   * Rejects with what the system, or OpenSSL, says; then it listens where it did.
   */
  async rebind (place: At): Promise<void> {
    const [before, old] = [this.#options, this.#listener]
    if (old !== undefined && differsInCertificateOnly(place, before)) {
      if (place.tls !== undefined && 'setCertificate' in old) old.setCertificate(place.tls)
      this.#options = place
      return
    }
    await lookup(place.host) // a name that takes its time, or is none, is no reason to stop listening
    const isInTheWay = place.port !== 0 && place.port === before.port
    if (isInTheWay) {
      this.close()
      this.#port = undefined
    }
    try {
      await this.#open(place)
    } catch (err) {
      // When somebody else has taken the place meanwhile, the next change tries again.
      if (isInTheWay) await this.#open(before).catch(() => {})
      throw err
    }
    old?.close()
    this.#options = place
  }

  /** Listens no more; links that came in stay. */
  close (): void {
    this.#listener?.close()
    this.#listener = undefined
  }

  async #open (place: At): Promise<void> {
    const listener = this.#init.listen(place)
    this.#accept(listener).catch(() => {}) // told by `port` below
    this.#port = await listener.port()
    this.#listener = listener
  }

  async #accept (listener: Listener<L>): Promise<void> {
    for await (const link of listener) this.#init.accept(link)
  }
}

/** They differ in the certificate at the most, which can change on the spot. */
function differsInCertificateOnly (a: BindOptions, b: BindOptions): boolean {
  return a.host === b.host && a.port === b.port && (a.tls === undefined) === (b.tls === undefined) &&
    (a.trustedProxies ?? []).join() === (b.trustedProxies ?? []).join()
}

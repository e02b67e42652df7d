/** A listener whose address, proxies and certificate can change while it runs. */
import { lookup } from 'node:dns/promises'
import { acceptEach } from '../../transports/acceptor.ts'
import type { TlsListener } from '../../transports/certificate.ts'
import type { TlsServerInit } from '../../transports/tls.ts'
import type { Link, Listener } from '../../types.ts'

/** Where to listen, and with which settings. */
export interface BindOptions {
  /** A name or an address, IPv6 without brackets. */
  host: string
  /** 0 takes any free port. */
  port: number
  tls?: TlsServerInit
  trustedProxies?: readonly string[]
}

export interface RebindableListenerInit<L extends Link, At extends BindOptions = BindOptions> {
  readonly listen: (options: At) => Listener<L> | TlsListener<L>
  /** Gets every accepted link. */
  readonly accept: (link: L) => void
  /** Gets what `accept` has thrown for a link, which is aborted. Default: nothing. */
  readonly onFault?: (err: Error, link: L) => void
}

/** Calls must not overlap: the owner serialises them. */
export class RebindableListener<L extends Link, At extends BindOptions = BindOptions> {
  readonly #init: RebindableListenerInit<L, At>
  #options: At
  #listener: Listener<L> | TlsListener<L> | undefined
  #port: number | undefined

  constructor (options: At, init: RebindableListenerInit<L, At>) {
    this.#options = options
    this.#init = init
  }

  get options (): At { return this.#options }

  /** The port in use; undefined while it does not listen, after a change that has failed half-way. */
  get port (): number | undefined { return this.#port }

  /** Starts to listen. @throws an error of the system */
  async open (): Promise<void> {
    await this.#open(this.#options)
  }

  /**
   * Listens on another address. Accepted links stay. When only the certificate differs, the listener stays as well, and later
   * handshakes use the new one.
   *
   * @throws an error of the system or of OpenSSL; then it listens where it did
   */
  async rebind (options: At): Promise<void> {
    const [before, old] = [this.#options, this.#listener]
    if (old !== undefined && differsInCertificateOnly(options, before)) {
      if (options.tls !== undefined && 'setCertificate' in old) old.setCertificate(options.tls)
      this.#options = options
      return
    }
    await lookup(options.host) // before the old listener closes: a lookup may be slow or fail
    const isSamePort = options.port !== 0 && options.port === before.port
    if (isSamePort) {
      this.close()
      this.#port = undefined
    }
    try {
      await this.#open(options)
    } catch (err) {
      // the port may be in use by now; the next change tries again
      if (isSamePort) await this.#open(before).catch(() => {})
      throw err
    }
    old?.close()
    this.#options = options
  }

  /** Stops listening; accepted links stay. */
  close (): void {
    this.#listener?.close()
    this.#listener = undefined
  }

  async #open (options: At): Promise<void> {
    const { listen, accept, onFault = () => {} } = this.#init
    const listener = listen(options)
    acceptEach(listener, accept, onFault).catch(() => {}) // could not listen: reported by `port` below
    this.#port = await listener.port()
    this.#listener = listener
  }
}

/** Whether only the certificate differs, which can change without a new listener. */
function differsInCertificateOnly (a: BindOptions, b: BindOptions): boolean {
  return a.host === b.host && a.port === b.port && (a.tls === undefined) === (b.tls === undefined) &&
    (a.trustedProxies ?? []).join() === (b.trustedProxies ?? []).join()
}

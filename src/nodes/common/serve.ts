/** A relay on a port: what comes in at a transport goes through layers to whoever serves it, and where that is may change while it runs. */
import { RebindableListener, type BindOptions } from './rebindable-listener.ts'
import { overAccepted, type ConnectionInfo } from '../../transports/connection-guard.ts'
import { LinkClosedError } from '../../errors.ts'
import type { TlsServerInit } from '../../transports/tls.ts'
import type { Layer, Link, Transport } from '../../types.ts'

/** Where a relay listens, in the words of its user. */
export interface ListenOptions {
  /** Address and port, in the form of the protocol; port 0 takes a free one. */
  listen: string
  /** Makes it TLS. Default: none. */
  tls?: TlsServerInit
  /** Whose word is taken for where a connection comes from, CIDRs or addresses. Default: nobody's. */
  trustedProxies?: readonly string[]
}

/** What has come of other settings. */
export interface ConfigureResult {
  /** Connections that were ended. */
  ended: number
}

/**
 * @typeParam At where to listen
 * @typeParam Wire what the transport gives out
 * @typeParam Upper what the layers make of it
 */
export interface ServeInit<At extends BindOptions, Wire extends Link & ConnectionInfo, Upper extends Link, Options, Changes> {
  /** What carries the links. */
  transport: Pick<Transport<Wire, At>, 'listen'>
  /** From the links of the transport to those that are served. */
  layers: Layer<Wire, Upper>
  /** Serves a link until its end. */
  accept (link: Upper & ConnectionInfo): void
  /** Where to listen first. */
  at: At
  /** `url` of the server. */
  urlOf (at: At, port: number): string
  /** Checks other options, of which nothing is in force yet, and returns where to listen by them. Throws `OptionError`. */
  verify (options: Options): At
  /** Takes options that `verify` has let pass. It listens there already. */
  configure (options: Options): Changes
  /** It listens no more: ends what is served, and settles when that is gone. */
  close (): Promise<void>
}

export interface Served<Options, Changes> {
  /** With the port that is really in use. Empty while it listens nowhere, after a change that has failed in the middle. */
  readonly url: string
  /**
   * Other options from now on. Links that are there stay where only the place is another one.
   *
   * Rejects with `OptionError` when something cannot work, and with what the system says when it cannot listen; then nothing has
   * changed.
   */
  configure (options: Options): Promise<Changes>
  /** Stops listening, ends what is served, and settles when that is gone. */
  close (): Promise<void>
}

/** Listens and serves. Rejects with what the system says when it cannot listen; then all is closed. */
export async function serve<At extends BindOptions, Wire extends Link & ConnectionInfo, Upper extends Link, Options, Changes> (init: ServeInit<At, Wire, Upper, Options, Changes>): Promise<Served<Options, Changes>> {
  const { transport, layers } = init
  const listener = new RebindableListener<Wire, At>(init.at, {
    listen: (at) => transport.listen(at),
    accept: (link) => { init.accept(overAccepted(link, layers)) }
  })
  const server = new Server(listener, init)
  try {
    await listener.open()
    return server
  } catch (err) {
    await server.close()
    throw err
  }
}

type Listening<At extends BindOptions> = Pick<RebindableListener<Link, At>, 'options' | 'port' | 'rebind' | 'close'>
type Handlers<At extends BindOptions, Options, Changes> = Pick<ServeInit<At, never, never, Options, Changes>, 'urlOf' | 'verify' | 'configure' | 'close'>

class Server<At extends BindOptions, Options, Changes> implements Served<Options, Changes> {
  readonly #listener: Listening<At>
  readonly #init: Handlers<At, Options, Changes>
  /** Changes come one after the other, and none after the end. */
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor (listener: Listening<At>, init: Handlers<At, Options, Changes>) {
    this.#listener = listener
    this.#init = init
  }

  get url (): string {
    const { port, options: place } = this.#listener
    return port === undefined ? '' : this.#init.urlOf(place, port)
  }

  async configure (options: Options): Promise<Changes> {
    const change = this.#turn.then(async () => {
      if (this.#isClosed) throw new LinkClosedError('the server is closed')
      await this.#listener.rebind(this.#init.verify(options))
      return this.#init.configure(options)
    })
    this.#turn = change.catch(() => {})
    return await change
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.#turn
    this.#listener.close()
    await this.#init.close()
  }
}

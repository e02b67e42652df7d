/** A relay on a port: a transport listens, its links go through layers to the relay, and the address may change while it runs. */
import { RebindableListener, type BindOptions } from './rebindable-listener.ts'
import type { ServerStatus } from './status.ts'
import { overAccepted, type ConnectionInfo } from '../../transports/connection-guard.ts'
import { LinkClosedError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { Layer, Link, Transport } from '../../types.ts'

/** The effect of a changed configuration. */
export interface ConfigureResult {
  /** Connections that were ended. */
  ended: number
}

/**
 * @typeParam At where to listen
 * @typeParam Wire links of the transport
 * @typeParam Upper links after the layers
 */
export interface ServeInit<At extends BindOptions, Wire extends Link & ConnectionInfo, Upper extends Link, Options, Changes, Status> {
  /** Accepts the links. */
  transport: Pick<Transport<Wire, At>, 'listen'>
  /** From links of the transport to those that `accept` gets. */
  layers: Layer<Wire, Upper>
  log?: Logger | undefined
  /** Serves a link until its end. What it throws, or a layer, ends the link and is logged as a fault of the relay. */
  accept (link: Upper & ConnectionInfo): void
  /** The first address to listen on. */
  at: At
  /** The `url` of the server. */
  urlOf (at: At, port: number): string
  /**
   * Checks new options without applying them, and returns where to listen.
   *
   * @throws {OptionError} when an option is invalid
   */
  verify (options: Options): At
  /** Applies options that `verify` has accepted. The listener is already bound to the new address. */
  configure (options: Options): Changes
  /** The status of what is served. */
  status (): Status
  /** Called after the listener is closed: ends what is served, and settles when that has ended. */
  close (): Promise<void>
}

/** A relay on a port. */
export interface Served<Options, Changes, Status> {
  /** With the port in use, and after `close` the last one. Empty when it does not listen after a change that has failed half-way. */
  readonly url: string
  /**
   * Changes the options. Links stay when only the address changes.
   *
   * @throws {OptionError} when an option is invalid; an error of the system when it cannot listen. Then nothing has changed
   */
  configure (options: Options): Promise<Changes>
  /** The current state, for display. */
  status (): Status & ServerStatus
  /** Stops listening, ends what is served, and settles when that has ended. */
  close (): Promise<void>
}

/**
 * Listens and serves.
 *
 * @throws an error of the system when it cannot listen; then all is closed
 */
export async function serve<At extends BindOptions, Wire extends Link & ConnectionInfo, Upper extends Link, Options, Changes, Status> (init: ServeInit<At, Wire, Upper, Options, Changes, Status>): Promise<Served<Options, Changes, Status>> {
  const { transport, layers } = init
  const listener = new RebindableListener<Wire, At>(init.at, {
    listen: (at) => transport.listen(at),
    accept: (link) => { init.accept(overAccepted(link, layers)) },
    onFault: (err, { remote }) => { init.log?.error({ remote, err }, 'connection ended by a fault of the relay') }
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
type Handlers<At extends BindOptions, Options, Changes, Status> = Pick<ServeInit<At, never, never, Options, Changes, Status>, 'urlOf' | 'verify' | 'configure' | 'status' | 'close'>

class Server<At extends BindOptions, Options, Changes, Status> implements Served<Options, Changes, Status> {
  readonly #listener: Listening<At>
  readonly #init: Handlers<At, Options, Changes, Status>
  /** Changes run one after the other, and none after `close`. */
  #lastChange: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor (listener: Listening<At>, init: Handlers<At, Options, Changes, Status>) {
    this.#listener = listener
    this.#init = init
  }

  get url (): string {
    const { port, options } = this.#listener
    return port === undefined ? '' : this.#init.urlOf(options, port)
  }

  status (): Status & ServerStatus { return { url: this.url, ...this.#init.status() } }

  async configure (options: Options): Promise<Changes> {
    const change = this.#lastChange.then(async () => {
      if (this.#isClosed) throw new LinkClosedError('the server is closed')
      await this.#listener.rebind(this.#init.verify(options))
      return this.#init.configure(options)
    })
    this.#lastChange = change.catch(() => {})
    return await change
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.#lastChange
    this.#listener.close()
    await this.#init.close()
  }
}

/** A node that this one connects to: where its users come in, R's side of the pair, and another pair when that has ended. */
import { once } from 'node:events'
import type { Sealing } from '../../../crypto/index.ts'
import { LinkClosedError } from '../../../errors.ts'
import { Backoff } from '../../../limits/backoff.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { reasonOf } from '../../../text/printable.ts'
import { acceptEach } from '../../../transports/acceptor.ts'
import type { Endpoint, Link, Listener, Timer } from '../../../types.ts'
import { idText } from '../protocol/public-key.ts'
import type { Connector } from './connector.ts'
import type { Indexes } from './indexes.ts'
import type { ShowchainNode } from './node.ts'
import type { Target } from './options.ts'
import { RequesterPair } from './pair.ts'
import { pathStatus } from './path-status.ts'
import type { Path } from './paths.ts'
import type { PeerSettings, RemoteStatus } from './settings.ts'
import { Users } from '../../common/users.ts'

/** Milliseconds for which a user waits until its link is open. */
const OPEN_TIMEOUT = 20_000

/** Milliseconds for which a proxy is not used that has altered data. */
const SHUN = 300_000

const RETRY = { first: 1000, longest: 30_000 }

export interface RemoteNodeInit {
  settings: PeerSettings
  sealing: Sealing
  indexes: Indexes
  node: ShowchainNode
  target: Target
  /** Where users come in. */
  listen: Endpoint
  onOnline (id: string): void
  /** Packets go by another path, or none works. */
  onPath (id: string, path: Path | undefined): void
  onOffline (id: string, err: Error, wait: number): void
}

export class RemoteNode {
  readonly id: string
  readonly #init: RemoteNodeInit
  readonly #users = new Users()
  readonly #backoff: Backoff
  #listener: Listener | undefined
  #url: string | undefined
  #pair: RequesterPair | undefined
  #connector: Connector | undefined
  /** Proxies that have altered data, until when they are not used: at most as many as there are helpers. */
  readonly #shunned = new Map<string, number>()
  #isOnline = false
  #failures = 0
  #reason: string | undefined
  #timer: Timer | undefined
  #isClosed = false

  constructor (init: RemoteNodeInit) {
    this.#init = init
    this.id = idText(init.target.id)
    const { clock, random } = init.settings
    this.#backoff = new Backoff({ ...RETRY, clock, random })
  }

  /** @throws an error of the system when it cannot listen */
  async start (): Promise<void> {
    const { settings: { transport }, listen: { host, port } } = this.#init
    const listener = this.#listener = transport.listen({ host, port })
    this.#url = `tcp://${endpointText({ host, port: await listener.port() })}`
    acceptEach(listener, (user) => { void this.#serve(user) }, (err, user) => { user.abort(err) }).catch(() => {})
    this.#connect()
  }

  status (): RemoteStatus {
    const pair = this.#pair
    return {
      id: this.id,
      url: this.#url,
      state: this.#isOnline ? 'online' : pair === undefined ? 'waiting' : 'connecting',
      paths: pair === undefined ? [] : pathStatus(pair),
      users: this.#users.size,
      accepted: this.#users.accepted,
      failures: this.#failures,
      reason: this.#isOnline ? undefined : this.#connector?.problem ?? this.#reason
    }
  }

  close (): void {
    const reason = new LinkClosedError('the peer was closed')
    this.#isClosed = true
    this.#init.settings.clock.clear(this.#timer)
    this.#listener?.close()
    this.#users.abort(reason)
    const pair = this.#pair
    if (pair === undefined) return
    pair.close(reason) // by its paths
    this.#init.node.disconnect(pair)
  }

  #connect (): void {
    if (this.#isClosed || this.#pair !== undefined) return
    const { settings: { clock, identity, keys, random }, sealing, indexes, node, target } = this.#init
    clock.clear(this.#timer)
    const pair: RequesterPair = new RequesterPair({
      clock,
      identity,
      keys,
      sealing,
      indexes,
      random,
      other: target.id,
      onPathChosen: (path) => {
        this.#connector?.onPathChosen(path)
        this.#init.onPath(this.id, path)
      },
      onAltered: (path) => {
        this.#shunned.set(endpointText(path.endpoint), clock.now() + SHUN)
        path.close()
      },
      onEnded: (err) => { this.#ended(pair, err) }
    })
    this.#pair = pair
    this.#connector = node.connect(target.id, pair, { endpoint: target.at, isShunned: (proxy) => (this.#shunned.get(endpointText(proxy)) ?? 0) > clock.now() })
    pair.ready.then(() => {
      if (this.#pair !== pair) return
      this.#isOnline = true
      this.#backoff.online()
      this.#init.onOnline(this.id)
    }, () => {})
  }

  #ended (pair: RequesterPair, err: Error | undefined): void {
    if (this.#pair !== pair) return
    const { settings: { clock }, node } = this.#init
    this.#pair = undefined
    this.#isOnline = false
    this.#connector = undefined
    if (this.#isClosed) return
    node.disconnect(pair)
    const reason = err ?? new LinkClosedError('the pair has ended')
    const wait = this.#backoff.next()
    this.#failures++
    this.#reason = reasonOf(reason)
    node.historyOf(this.#init.target.id).add(`the connection has ended: ${this.#reason}`)
    this.#timer = clock.set(wait, () => { this.#connect() })
    this.#init.onOffline(this.id, reason, wait)
  }

  async #serve (user: Link): Promise<void> {
    const { clock, log } = this.#init.settings
    this.#connect() // now, although it was to wait
    this.#connector?.hurry()
    const timeout = new AbortController()
    const timer = clock.set(OPEN_TIMEOUT, () => { timeout.abort(new LinkClosedError('the other node has not answered in time')) })
    try {
      const link = await this.#open(timeout.signal)
      clock.clear(timer)
      await this.#users.join(user, link)
    } catch (err) {
      clock.clear(timer)
      log.warn({ id: this.id, reason: this.#connector?.problem ?? reasonOf(err as Error) }, 'user refused')
      user.abort(err as Error)
    }
  }

  /** A link of the pair, once it is ready. */
  async #open (signal: AbortSignal): Promise<Link> {
    const pair = this.#pair
    if (pair === undefined) throw new LinkClosedError('the peer was closed')
    await Promise.race([pair.ready, aborted(signal)])
    return await pair.open({ signal })
  }
}

/** Rejects with the reason of the signal. */
async function aborted (signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort')
  throw signal.reason
}

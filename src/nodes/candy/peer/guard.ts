/** Restores address, routes and state of a peer's interface when other programs change them, and reports what is missing. */
import type { Logger } from '../../../log.ts'
import type { Tun, TunLoss, TunRoute } from '../../../tun/device.ts'
import type { Clock, Timer } from '../../../types.ts'
import type { PeerRoutes } from './routes.ts'
import type { CandyPeerStats } from './stats.ts'

/** Milliseconds after a change of other interfaces: changes mostly come in groups. */
const SETTLE_TIME = 1000

/** Routes named in one log line; there may be a thousand. */
const MAX_LOGGED_ROUTES = 10

export interface PeerGuardInit {
  tun: Tun
  routes: Pick<PeerRoutes, 'lost'>
  stats: Pick<CandyPeerStats, 'restored'>
  log: Logger
  clock: Clock
  /** Other interfaces have new addresses or routes: this machine may use more networks now. At most once a second. */
  onOthers (): void
}

export class PeerGuard {
  readonly #init: PeerGuardInit
  #stop: (() => void) | undefined
  #lost: readonly string[] = []
  #looking: Timer | undefined

  constructor (init: PeerGuardInit) {
    this.#init = init
  }

  /** What is missing now: `address`, `up`, and routes. */
  get lost (): readonly string[] { return this.#lost }

  start (): void {
    const { tun, stats, log, clock } = this.#init
    try {
      this.#stop = tun.watch?.({
        onLoss: (loss) => { this.#onLoss(loss) },
        onRestored: () => {
          stats.restored++
          log.info({ interface: tun.name }, 'interface put back')
        },
        onFailure: (err) => { log.warn({ interface: tun.name, reason: err.message }, 'interface not put back') },
        onOthers: () => {
          this.#looking ??= clock.set(SETTLE_TIME, () => {
            this.#looking = undefined
            this.#init.onOthers()
          })
        }
      })
    } catch (err) {
      log.warn({ interface: tun.name, reason: (err as Error).message }, 'nobody watches what others do to the interface')
    }
  }

  stop (): void {
    this.#stop?.()
    this.#stop = undefined
    this.#init.clock.clear(this.#looking)
  }

  #onLoss ({ address, down, routes }: TunLoss): void {
    const { tun, log } = this.#init
    this.#init.routes.lost(routes)
    this.#lost = [...(down ? ['up'] : []), ...(address ? ['address'] : []), ...routes.map(nameOf)]
    if (this.#lost.length > 0) log.warn({ interface: tun.name, lost: this.#lost.slice(0, MAX_LOGGED_ROUTES), count: this.#lost.length }, 'somebody else has taken from the interface')
  }
}

const nameOf = ({ destination, gateway }: TunRoute): string => `route ${destination} via ${gateway}`

/** A registered control connection of a peer: it answers requests of the server, and pings it. */
import { pipe } from 'it-pipe'
import { rateLimited, controlBudget } from '../protocol/control-budget.ts'
import { receive, type ControlledSession, type ControlledMapping } from './control.ts'
import type { MapStats, PeerSettings } from './settings.ts'
import { MAX_FRAME, MAX_MESSAGE, readToClient, type Message, type ToClient } from '../protocol/messages.ts'
import { LinkClosedError } from '../../../errors.ts'
import { over } from '../../../layer.ts'
import { controlFrames } from '../../../transforms/control-frames.ts'
import { json } from '../../../transforms/json.ts'
import { every } from '../../../streams/clock.ts'
import type { Meter } from '../../../streams/meter.ts'
import { u32be } from '../../../transforms/length-codecs.ts'
import { dispatch } from '../../../transforms/type-demux.ts'
import type { Link } from '../../../types.ts'

const frames = controlFrames(u32be, { maxFrame: MAX_FRAME })
const messages = json<ToClient, Message>({ read: readToClient, maxParsed: MAX_MESSAGE })

/** Pings without an answer until the connection counts as lost. */
const MAX_UNANSWERED_PINGS = 3

/** Failed data connections in a row until the control connection is made anew, which also resolves the server's name again. */
const MAX_FAILURES = 2

/** The mapped port of a session. */
export interface SessionMapping extends ControlledMapping {
  readonly settings: ControlledMapping['settings'] & Pick<PeerSettings, 'pingInterval'>
  readonly stats: ControlledMapping['stats'] & Pick<MapStats, 'heldMessages'>
}

export class PeerSession implements ControlledSession {
  readonly map: SessionMapping
  readonly isStrict: boolean
  /** The server is told when the header of a user has arrived. */
  readonly acknowledges: boolean
  readonly #link: Link<ToClient, Message>
  /** Pings since the last pong. */
  #unanswered = 0
  #failures = 0

  constructor (map: SessionMapping, link: Link, isStrict: boolean, acknowledges = false) {
    this.map = map
    this.isStrict = isStrict
    this.acknowledges = acknowledges
    const budget = controlBudget(map.settings.clock, () => { map.stats.heldMessages++ })
    const budgeted: Meter = (bytes) => {
      const wait = budget(bytes)
      if (wait !== undefined) this.#unanswered = 0 // pongs may be queued behind the held messages, which prove the server alive
      return wait
    }
    this.#link = over(rateLimited(over(link, frames), budgeted), messages)
  }

  /** Serves until the connection ends. Rejects with its error, unless the server has ended it. */
  async run (): Promise<void> {
    const { clock, pingInterval } = this.map.settings
    const timer = every(clock, pingInterval, () => { this.#ping() })
    try {
      await pipe(this.#link.source, dispatch(receive, this))
    } finally {
      timer.stop()
      this.#link.abort(new LinkClosedError('the session is over'))
    }
  }

  send (message: Message): void {
    if (this.#link.port.send([message]) === 0) this.end(new Error('the server does not read'))
  }

  end (err: Error): void { this.#link.abort(err) }

  onPong (): void { this.#unanswered = 0 }

  /** The result of a data connection: the control connection may work where new ones fail. */
  onDataResult (err?: Error): void {
    if (err === undefined) this.#failures = 0
    else if (++this.#failures >= MAX_FAILURES) this.end(new Error(`data connections cannot be made: ${err.message}`, { cause: err }))
  }

  #ping (): void {
    if (this.#unanswered >= MAX_UNANSWERED_PINGS) this.end(new Error(`no answer to ${MAX_UNANSWERED_PINGS} pings`))
    else this.send({ type: 'ping', time: Math.floor(this.map.settings.clock.date() / 1000) })
    this.#unanswered++
  }
}

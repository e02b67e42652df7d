/** Desktops that other clients have open here, each with a process of its own (natpass protocol, section 4.3). */
import { DesktopError } from './desktop-error.ts'
import { loadJpeg } from './jpeg.ts'
import { ServedDesktop } from './served-desktop.ts'
import { Slots, type Slot } from './slots.ts'
import { PEER_PROGRAM, WorkerProcess } from './worker-process.ts'
import type { LinkRequest, LinkResponse } from '../../protocol/link-codec.ts'
import { LinkClosedError } from '../../../../errors.ts'
import type { RateLimitedLog } from '../../../../limits/rate-limited-log.ts'
import { printable, reasonOf } from '../../../../text/printable.ts'
import type { Opening } from '../../../../transforms/link-mux/index.ts'
import type { Clock } from '../../../../types.ts'

export interface DesktopsInit {
  /** The file of the program that captures the screen. Default: `peer` of this package. */
  program?: string | undefined
  clock: Clock
  log: RateLimitedLog
}

export class Desktops {
  readonly #init: DesktopsInit
  readonly #closing = new AbortController()
  readonly #slots: Slots
  readonly #open = new Set<Promise<void>>()

  constructor (init: DesktopsInit) {
    this.#init = init
    this.#slots = new Slots(init.clock)
  }

  /** Accepts an opening once there is a picture, and serves it to its end. @throws an error for its client when there is none */
  async serve (opening: Opening<LinkRequest, LinkResponse>, onOpen: () => void, onEnd: () => void): Promise<void> {
    const { client, request: { name } } = opening.request
    const slot = this.#slots.take(client, name ?? '')
    const serving = this.#serve(opening, slot, onOpen, onEnd)
    const ended = slot.ended = serving.catch(() => {})
    this.#open.add(ended)
    void ended.then(() => {
      this.#open.delete(ended)
      this.#slots.free(slot)
    })
    await serving
  }

  /** Ends all. Settles when their processes are gone. */
  async close (reason: Error): Promise<void> {
    this.#closing.abort(reason)
    await Promise.all(this.#open)
  }

  async #serve (opening: Opening<LinkRequest, LinkResponse>, slot: Slot, onOpen: () => void, onEnd: () => void): Promise<void> {
    const { program = PEER_PROGRAM, clock, log } = this.#init
    const { client, request: { name, cvnc } } = opening.request
    const about = { client: printable(client), rule: printable(name ?? '') }
    const signal = AbortSignal.any([opening.signal, slot.over.signal, this.#closing.signal])
    await slot.former
    signal.throwIfAborted()
    const [worker, jpeg] = await Promise.all([WorkerProcess.start({ program, rule: about.rule, clock, signal }), loadJpeg()])
    const stop = (): void => { void worker.close(signal.reason) }
    signal.addEventListener('abort', stop, { once: true })
    try {
      signal.throwIfAborted()
      const desktop = await ServedDesktop.open({ worker, request: cvnc ?? {}, jpeg, clock })
      const link = opening.accept({}, { messages: true })
      onOpen()
      slot.silentSince = () => desktop.silentSince
      if (jpeg === undefined) log.log('info', about, 'the optional package sharp is not installed: pictures are not compressed')
      const reason = await desktop.serve(link)
      onEnd()
      if (reason instanceof DesktopError) log.log('warn', { ...about, reason: reasonOf(reason) }, 'desktop ended')
    } finally {
      signal.removeEventListener('abort', stop)
      await worker.close(new LinkClosedError('the link has ended'))
    }
  }
}

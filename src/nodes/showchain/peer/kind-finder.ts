/** The kind of the own NAT, found with two helpers (SHOW CHAIN protocol, section 4.1). */
import { NatKindDetection, type NatKind, type NatKindEvidence, type NatKindQuestion } from '../../../nat/index.ts'
import type { Clock, Endpoint, Timer } from '../../../types.ts'
import { addressText } from '../protocol/addresses.ts'
import { Op } from '../protocol/op.ts'
import { UNKNOWN_ID } from '../protocol/public-key.ts'
import type { OpenRequest, OpenRequests } from '../protocol/requests.ts'

/** Milliseconds for which answers to one try are taken. */
const ANSWER_TIME = 6000

/** A helper that takes part. */
export interface KnownHelper {
  readonly endpoint: Endpoint
  readonly id: Uint8Array
}

/** What was found out, and by whom. */
export interface KindReport extends NatKindEvidence {
  /** Undefined: unknown, which counts as 4. */
  readonly kind: NatKind | undefined
  /** Whether all that could change the kind was tested. */
  readonly isCertain: boolean
  /** The own endpoint as the helpers see it. */
  readonly mapped: readonly Endpoint[]
  readonly helpers: readonly Endpoint[]
}

/** Asks a helper for its id, from a socket that is of no other use. @returns undefined when it does not answer */
export function askForId (requests: OpenRequests, to: Endpoint): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const request = requests.open({
      op: Op.directRequest,
      to,
      target: UNKNOWN_ID,
      onAnswer: ({ message: { id } }) => {
        request?.close()
        resolve(Uint8Array.from(id as Uint8Array))
      },
      onFailed: () => { resolve(undefined) }
    })
    if (request === undefined) resolve(undefined)
  })
}

export interface FindKindInit {
  clock: Clock
  /** Of the socket whose NAT it is, which has sent nothing to the second helper. */
  requests: OpenRequests
  helpers: readonly [KnownHelper, KnownHelper]
  signal: AbortSignal
}

/** @throws the reason of the signal */
export function findKind (init: FindKindInit): Promise<KindReport> {
  return new Promise((resolve, reject) => { new KindFinder(init, resolve, reject).start() })
}

class KindFinder {
  readonly #init: FindKindInit
  readonly #resolve: (report: KindReport) => void
  readonly #reject: (reason: unknown) => void
  readonly #detection: NatKindDetection
  readonly #open: OpenRequest[] = []
  readonly #mapped: Endpoint[] = []
  #timer: Timer | undefined

  constructor (init: FindKindInit, resolve: (report: KindReport) => void, reject: (reason: unknown) => void) {
    this.#init = init
    this.#resolve = resolve
    this.#reject = reject
    const [first, second] = init.helpers
    this.#detection = new NatKindDetection({ servers: [first.endpoint, second.endpoint] })
  }

  start (): void {
    const { signal, clock } = this.#init
    if (signal.aborted) {
      this.#reject(signal.reason)
      return
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#detection.start(clock.now())
    this.#poll()
  }

  readonly #onAbort = (): void => {
    this.#end()
    this.#reject(this.#init.signal.reason)
  }

  readonly #poll = (): void => {
    const { clock, helpers } = this.#init
    clock.clear(this.#timer)
    for (const question of this.#detection.poll(clock.now())) this.#ask(question)
    if (this.#detection.isDone) {
      this.#end()
      const { kind, isCertain, evidence } = this.#detection
      this.#resolve({ ...evidence, kind, isCertain, mapped: this.#mapped, helpers: helpers.map(({ endpoint }) => endpoint) })
    } else {
      this.#timer = clock.set(Math.max(1, (this.#detection.deadline ?? 0) - clock.now()), this.#poll)
    }
  }

  #end (): void {
    const { signal, clock } = this.#init
    signal.removeEventListener('abort', this.#onAbort)
    clock.clear(this.#timer)
    for (const request of this.#open) request.close()
  }

  #ask (question: NatKindQuestion): void {
    const { requests, helpers: [first, second], clock } = this.#init
    const isEndpoint = question === 'first' || question === 'second'
    const request = requests.open({
      op: isEndpoint ? Op.directRequest : Op.natRequest,
      to: question === 'second' ? second.endpoint : first.endpoint,
      target: isEndpoint ? UNKNOWN_ID : question === 'other host' ? second.id : first.id,
      repeats: [],
      patience: ANSWER_TIME,
      onAnswer: ({ message: { op, ip, port } }) => {
        const now = clock.now()
        if (isEndpoint) {
          if (ip === undefined || port === undefined) return
          const mapped = { host: addressText(ip), port }
          this.#mapped.push(mapped)
          this.#detection.sees(question, mapped, now)
        } else if (op === Op.response) {
          this.#detection.came(question, now)
        } else {
          this.#detection.wasSent(question)
        }
        this.#poll()
      },
      onFailed: () => {}
    })
    if (request !== undefined) this.#open.push(request)
  }
}

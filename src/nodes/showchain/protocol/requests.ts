/**
 * Requests that wait for answers: repeated with a new seq and ts, and once more with the cookie of a challenge (SHOW CHAIN protocol,
 * sections 2.5 and 3.3).
 */
import { isSame } from '../../../nat/stun/transaction.ts'
import { endpointText } from '../../../net/endpoint.ts'
import type { Clock, Endpoint, Timer } from '../../../types.ts'
import type { ShowchainMessage } from './messages.ts'
import { Op } from './op.ts'
import type { Sequence } from './sequence.ts'

/** Milliseconds after which a request is sent again, and after which it has failed (SHOW CHAIN protocol, section 5.2). */
export const REPEATS = [500, 1000, 2000, 4000] as const
export const PATIENCE = 5000

/** Challenges that are answered, of one request. */
const MAX_CHALLENGES = 2

/** Further tries, of one request. */
const MAX_FURTHER = 4

/** Requests at one time, and cookies that are kept. */
const MAX_REQUESTS = 1024
const MAX_COOKIES = 256

/** A message, and where it came from or goes to. */
export interface Incoming {
  readonly message: ShowchainMessage
  readonly from: Endpoint
}

export interface RequestInit {
  op: typeof Op.directRequest | typeof Op.natRequest | typeof Op.proxyRequest
  to: Endpoint
  /** 32 bytes. */
  target: Uint8Array
  /** Further fields, asked for at each try. @param attempt from 0; that which follows a challenge has the number of the one before */
  fields? (attempt: number): Pick<ShowchainMessage, 'kind' | 'ephemeral'>
  /** Milliseconds since the first try. Default: `REPEATS`. */
  repeats?: readonly number[]
  /** Milliseconds from the first try until it has failed. Default: `PATIENCE`. */
  patience?: number
  /** Called for each answer, whose signature holds, until the request is closed. @param roundTrip milliseconds since that try was sent */
  onAnswer (answer: Incoming, roundTrip: number): void
  /** Nothing, or nothing that has closed it, has come in time; it is closed. */
  onFailed (): void
}

export interface OpenRequestsInit {
  clock: Clock
  sequence: Sequence
  /** The own id, 32 bytes, and the own key as DER. */
  identity: { readonly id: Uint8Array, readonly der: Uint8Array }
  /** Signs a message and sends it. Settles when it was sent; rejects, or resolves with false, when it was not. */
  send (message: ShowchainMessage, to: Endpoint): Promise<boolean> | boolean
}

/** One try: answers repeat its seq and ts. */
interface Try {
  readonly request: Request
  readonly ts: number
  sentAt: number | undefined
}

/** A request, as its owner has it. */
export interface OpenRequest {
  /** No more is sent, and no more answers are taken. */
  close (): void
  /** It is not repeated any more; answers are still taken, until it fails. */
  settle (): void
  /** Sends it once more now, beside its repetitions. */
  again (): void
}

export class OpenRequests {
  readonly #init: OpenRequestsInit
  readonly #tries = new Map<number, Try>()
  readonly #open = new Set<Request>()
  /** By endpoint, the least recently used first. */
  readonly #cookies = new Map<string, Uint8Array>()
  /** Milliseconds by which the clock of the last responder that has told its own is ahead of this one. */
  #skew: number | undefined

  constructor (init: OpenRequestsInit) {
    this.#init = init
  }

  get size (): number { return this.#open.size }

  get skew (): number | undefined { return this.#skew }

  /** @returns undefined when too many are open */
  open (init: RequestInit): OpenRequest | undefined {
    if (this.#open.size >= MAX_REQUESTS) return undefined
    const request = new Request(init, this.#init.clock, {
      onTry: () => {
        request.attempts++
        void this.#send(request)
      },
      onClosed: () => { this.#forget(request) }
    })
    this.#open.add(request)
    request.start()
    return request
  }

  /** A cheap look, before a signature is verified: whether an answer belongs to a request that is open. */
  expects ({ message, from }: Incoming): boolean { return this.#find(message, from) !== undefined }

  /**
   * Takes an answer whose signature, where it has one, is verified.
   *
   * @returns whether it belongs to a request
   */
  receive (answer: Incoming): boolean {
    const { message, from } = answer
    const found = this.#find(message, from)
    if (found === undefined) return false
    const { request, sentAt } = found
    if (message.sign === undefined) {
      this.#challenged(request, message)
      return true
    }
    const now = this.#init.clock.now()
    request.init.onAnswer(answer, now - (sentAt ?? now))
    return true
  }

  /** A cookie that the other side has given for the endpoint of this one. */
  keepCookie (endpoint: Endpoint, cookie: Uint8Array): void {
    const key = endpointText(endpoint)
    this.#cookies.delete(key)
    this.#cookies.set(key, Uint8Array.from(cookie))
    if (this.#cookies.size > MAX_COOKIES) this.#cookies.delete(this.#cookies.keys().next().value as string)
  }

  close (): void {
    for (const request of this.#open) request.close()
  }

  #challenged (request: Request, { ts, cookie }: ShowchainMessage): void {
    this.#skew = ts - this.#init.clock.date()
    if (cookie === undefined || request.challenges === MAX_CHALLENGES) return
    request.challenges++
    this.keepCookie(request.init.to, cookie)
    void this.#send(request)
  }

  #find (message: ShowchainMessage, from: Endpoint): Try | undefined {
    const found = this.#tries.get(message.seq)
    return found !== undefined && isAnswer(message, from, found, this.#init.identity.id) ? found : undefined
  }

  async #send (request: Request): Promise<void> {
    const { clock, sequence, identity: { id, der: key }, send } = this.#init
    const { op, to, target, fields } = request.init
    const seq = sequence.next()
    const one: Try = { request, ts: Math.floor(clock.date()), sentAt: undefined }
    this.#tries.set(seq, one)
    request.seqs.push(seq)
    try {
      const message = { op, id, target, seq, ts: one.ts, key, cookie: this.#cookies.get(endpointText(to)), ...fields?.(request.attempts - 1) }
      if (await send(message, to) === false) return
    } catch {
      return // as one that was lost
    }
    one.sentAt = clock.now()
  }

  #forget (request: Request): void {
    for (const seq of request.seqs) this.#tries.delete(seq)
    this.#open.delete(request)
  }
}

function isAnswer (message: ShowchainMessage, from: Endpoint, { request: { init }, ts }: Try, own: Uint8Array): boolean {
  const isFromThere = isSame(from, init.to)
  if (message.op === Op.directResponse && message.sign === undefined) return isFromThere
  if (message.ts !== ts) return false
  switch (init.op) {
    case Op.directRequest: return message.op === Op.directResponse && isFromThere && isTarget(init.target, message.id)
    case Op.natRequest:
      if (message.op === Op.passResponseAck) return isFromThere && isTarget(init.target, message.id)
      return message.op === Op.response && isTarget(init.target, message.id) && isTarget(own, message.target)
    case Op.proxyRequest: return message.op === Op.proxyResponse && isFromThere && isTarget(init.target, message.target)
  }
}

/** An id that is not known yet is all zeros. */
const isTarget = (expected: Uint8Array, id: Uint8Array | undefined): boolean => id !== undefined && (Buffer.compare(expected, id) === 0 || expected.every((byte) => byte === 0))

interface RequestOwner {
  onTry (): void
  onClosed (): void
}

class Request implements OpenRequest {
  readonly init: RequestInit
  /** Of its tries. */
  readonly seqs: number[] = []
  challenges = 0
  attempts = 0
  readonly #clock: Clock
  readonly #owner: RequestOwner
  readonly #repeats: number[]
  #startedAt = 0
  #further = 0
  #timer: Timer | undefined
  #isClosed = false

  constructor (init: RequestInit, clock: Clock, owner: RequestOwner) {
    this.init = init
    this.#clock = clock
    this.#owner = owner
    this.#repeats = [...init.repeats ?? REPEATS]
  }

  start (): void {
    this.#startedAt = this.#clock.now()
    this.#owner.onTry()
    this.#schedule()
  }

  settle (): void {
    if (this.#repeats.length === 0 || this.#isClosed) return
    this.#repeats.length = 0
    this.#clock.clear(this.#timer)
    this.#schedule()
  }

  again (): void {
    if (this.#isClosed || this.#further === MAX_FURTHER) return
    this.#further++
    this.#owner.onTry()
  }

  close (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#clock.clear(this.#timer)
    this.#owner.onClosed()
  }

  #schedule (): void {
    const due = this.#startedAt + (this.#repeats[0] ?? this.init.patience ?? PATIENCE)
    this.#timer = this.#clock.set(Math.max(1, due - this.#clock.now()), this.#run)
  }

  readonly #run = (): void => {
    if (this.#repeats.shift() === undefined) {
      this.close()
      this.init.onFailed()
      return
    }
    this.#owner.onTry()
    this.#schedule()
  }
}

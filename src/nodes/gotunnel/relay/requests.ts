/**
 * Users that wait for a data connection, and which of them gets the next one. No I/O.
 *
 * In strict mode a data connection names its request. Otherwise requests are first in, first out: one whose user has left stays queued
 * until its data connection has arrived, or its time is over, so that this data connection is not given to the next user.
 */
import { randomBytes } from 'node:crypto'

export interface Request<U> {
  /** 128 random bits, known only to the client that was asked. */
  id: string
  user: U
  /** Milliseconds of a monotonic clock. */
  since: number
  /** The user no longer waits. */
  isCancelled: boolean
  /** The number of data connections that had arrived when this one was requested. */
  answersBefore: number
}

const ID_BYTES = 16

/** Random bytes, fetched in blocks as that is faster. */
let random = Buffer.alloc(0)
let used = 0

function newId (): string {
  if (used === random.length) {
    random = randomBytes(ID_BYTES * 256)
    used = 0
  }
  used += ID_BYTES
  return random.toString('base64url', used - ID_BYTES, used)
}

export class Requests<U> {
  /** Oldest first. */
  readonly #requests = new Map<string, Request<U>>()
  /** The maximum number of waiting users. */
  limit: number
  #waiting = 0

  constructor (limit: number) { this.limit = limit }

  /** Users that wait. */
  get waiting (): number { return this.#waiting }

  /** Queued requests, cancelled ones included. */
  get size (): number { return this.#requests.size }

  /** Queues a user; undefined when the limit is reached. */
  add (user: U, now: number): Request<U> | undefined {
    if (this.#waiting >= this.limit) return undefined
    if (this.#requests.size >= 2 * this.limit) this.#forgetCancelled()
    const request = { id: newId(), user, since: now, isCancelled: false, answersBefore: 0 }
    this.#requests.set(request.id, request)
    this.#waiting++
    return request
  }

  /** Takes the request that a data connection answers: the one with this id, or the oldest. */
  claim (id?: string): Request<U> | undefined {
    const request = id === undefined ? this.#requests.values().next().value : this.#requests.get(id)
    if (request !== undefined) this.#remove(request)
    return request
  }

  /** The user no longer waits. May be called more than once, and after the request has been claimed. */
  cancel (request: Request<U>): void {
    if (request.isCancelled || this.#requests.get(request.id) !== request) return
    request.isCancelled = true
    this.#waiting--
  }

  /** Takes all requests that are older than `before`, and returns those that are not cancelled. */
  expire (before: number): Array<Request<U>> {
    const expired: Array<Request<U>> = []
    for (const request of this.#requests.values()) {
      if (request.since > before) continue // not break: a user that has waited elsewhere before may be queued behind a younger one
      this.#remove(request)
      if (!request.isCancelled) expired.push(request)
    }
    return expired
  }

  /** Gives all waiting users new ids, as another client is asked from now on. Cancelled requests are dropped. */
  renew (): Array<Request<U>> {
    const renewed = [...this.#requests.values()].filter(({ isCancelled }) => !isCancelled)
    this.#requests.clear()
    for (const request of renewed) {
      request.id = newId()
      this.#requests.set(request.id, request)
    }
    return renewed
  }

  #remove (request: Request<U>): void {
    this.#requests.delete(request.id)
    if (!request.isCancelled) this.#waiting--
  }

  #forgetCancelled (): void {
    for (const request of this.#requests.values()) {
      if (!request.isCancelled) continue
      this.#remove(request)
      return
    }
  }
}

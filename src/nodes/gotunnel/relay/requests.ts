/**
 * Users that wait for a data connection, and which of them gets the next one. No I/O.
 *
 * In strict mode a data connection names the request that it answers. Without that it is first in, first out, by request: one
 * that is given up for a user stays in the line until its data connection has come, or its time is over, so that this one is
 * not taken for the next user.
 */
import { randomBytes } from 'node:crypto'

export interface Request<U> {
  /** 128 random bits: only who was asked can know it. */
  id: string
  user: U
  /** Milliseconds of a clock that only goes forward. */
  since: number
  /** The user does not wait any more. */
  isCancelled: boolean
  /** How many data connections had come when it was asked for. */
  answersBefore: number
}

const ID_BYTES = 16

/** Random bytes are cheaper by the thousand. */
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
  /** Users that may wait at one time. */
  limit: number
  #waiting = 0

  constructor (limit: number) { this.limit = limit }

  /** Users that wait. */
  get waiting (): number { return this.#waiting }

  /** Requests in the line, those that are void included. */
  get size (): number { return this.#requests.size }

  /** Undefined when as many wait as may. */
  add (user: U, now: number): Request<U> | undefined {
    if (this.#waiting >= this.limit) return undefined
    if (this.#requests.size >= 2 * this.limit) this.#forgetCancelled()
    const request = { id: newId(), user, since: now, isCancelled: false, answersBefore: 0 }
    this.#requests.set(request.id, request)
    this.#waiting++
    return request
  }

  /** The request that a data connection answers, taken out of the line: the one of this id, or the oldest. */
  claim (id?: string): Request<U> | undefined {
    const request = id === undefined ? this.#requests.values().next().value : this.#requests.get(id)
    if (request !== undefined) this.#remove(request)
    return request
  }

  /** Its user does not wait any more. Harmless when repeated, and once it has left the line. */
  cancel (request: Request<U>): void {
    if (request.isCancelled || this.#requests.get(request.id) !== request) return
    request.isCancelled = true
    this.#waiting--
  }

  /** Those whose time is over, taken out of the line; without those that are void. */
  expire (before: number): Array<Request<U>> {
    const expired: Array<Request<U>> = []
    for (const request of this.#requests.values()) {
      if (request.since > before) continue // one that has waited for something else before may stand behind a younger one
      this.#remove(request)
      if (!request.isCancelled) expired.push(request)
    }
    return expired
  }

  /** All that wait, under new ids: whoever has been asked before is not the one who answers. What is void is forgotten. */
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

/** Serves requests in turns: those that read first, then those that write, in one transaction. Requests wait while the database is locked. */
import type { Clock, Timer } from '../../../types.ts'
import { PeerStoreError } from './errors.ts'
import { faultOf, type FoundRow, type PeerRow, type StoreAnswer, type StoreFault, type StoreRequest } from './messages.ts'

/** Rows of one transaction. */
const LARGEST_BATCH = 1000

/** Milliseconds between two attempts at a locked database. */
const LOCK_PAUSE = 20

/** Milliseconds that requests wait for a lock once nothing more comes: a program that ends has a few seconds for everything. */
const LAST_LOCK_TIMEOUT = 1000

/** What is needed of a database. */
interface Database {
  find (id: string): FoundRow | undefined
  count (): number
  putAll (rows: readonly PeerRow[]): Array<StoreFault | undefined>
}

type Read = Exclude<StoreRequest, { type: 'put' }>
type Write = Extract<StoreRequest, { type: 'put' }>

interface Waiting<Request> {
  request: Request
  /** When it came, by the clock. */
  since: number
}

export interface RequestQueueInit {
  database: Database
  /** Milliseconds that a request waits for a lock. */
  lockTimeout: number
  clock: Clock
  answer: (answers: StoreAnswer[]) => void
}

/** Whether another program holds a lock, or has changed what a lock was to protect. */
export const isLocked = (err: unknown): boolean => faultOf(err).sqlite?.startsWith('SQLITE_BUSY') === true

export const lockedError = (lockTimeout: number): PeerStoreError => new PeerStoreError('ERR_PEER_STORE_LOCKED', `another program has locked the database for ${lockTimeout} ms`)

export class RequestQueue {
  readonly #database: Database
  readonly #lockTimeout: number
  readonly #clock: Clock
  readonly #answer: (answers: StoreAnswer[]) => void
  #reads: Array<Waiting<Read>> = []
  #writes: Array<Waiting<Write>> = []
  #next: NodeJS.Immediate | undefined
  #pause: Timer | undefined
  #onIdle: (() => void) | undefined
  /** When no request waits any more, by the clock. */
  #latest = Infinity

  constructor ({ database, lockTimeout, clock, answer }: RequestQueueInit) {
    this.#database = database
    this.#lockTimeout = lockTimeout
    this.#clock = clock
    this.#answer = answer
  }

  push (requests: readonly StoreRequest[]): void {
    const since = this.#clock.now()
    for (const request of requests) {
      if (request.type === 'put') this.#writes.push({ request, since })
      else this.#reads.push({ request, since })
    }
    this.#schedule()
  }

  /** Calls back once nothing waits any more. Nothing may be pushed from now on; what waits does so for a second more. */
  whenIdle (onIdle: () => void): void {
    this.#onIdle = onIdle
    this.#latest = this.#clock.now() + LAST_LOCK_TIMEOUT
    this.#schedule()
  }

  /** After the events of this turn, so that all messages that have arrived are in one transaction. */
  #schedule (): void {
    if (this.#pause === undefined) this.#next ??= setImmediate(() => { this.#turn() })
  }

  #turn (): void {
    this.#next = undefined
    const isFree = [this.#part((answers) => this.#read(answers)), this.#part((answers) => this.#write(answers))].every(Boolean)
    if (!isFree) {
      this.#pause = this.#clock.set(LOCK_PAUSE, () => {
        this.#pause = undefined
        this.#turn()
      })
    } else if (this.#reads.length + this.#writes.length > 0) this.#schedule()
    else this.#onIdle?.()
  }

  /** Answers a part of a turn at once, so that what was read does not wait for what is written. */
  #part (serve: (answers: StoreAnswer[]) => boolean): boolean {
    const answers: StoreAnswer[] = []
    const isFree = serve(answers)
    if (answers.length > 0) this.#answer(answers)
    return isFree
  }

  /** @returns false when the database is locked */
  #read (answers: StoreAnswer[]): boolean {
    const reads = this.#reads
    for (const [i, { request }] of reads.entries()) {
      const { n } = request
      try {
        answers.push(request.type === 'find' ? { n, found: this.#database.find(request.id) } : { n, count: this.#database.count() })
      } catch (err) {
        if (isLocked(err)) { // the others would wait as long for the same answer
          this.#reads = this.#stillWaiting(reads.slice(i), answers)
          return false
        }
        answers.push({ n, fault: faultOf(err) })
      }
    }
    this.#reads = []
    return true
  }

  /** @returns false when the database is locked */
  #write (answers: StoreAnswer[]): boolean {
    const batch = this.#writes.slice(0, LARGEST_BATCH)
    if (batch.length === 0) return true
    try {
      const faults = this.#database.putAll(batch.map(({ request }) => request.row))
      for (const [i, fault] of faults.entries()) answers.push({ n: batch[i].request.n, fault })
    } catch (err) {
      if (isLocked(err)) {
        this.#writes = this.#stillWaiting(this.#writes, answers)
        return false
      }
      const fault = faultOf(err)
      for (const { request: { n } } of batch) answers.push({ n, fault })
    }
    this.#writes.splice(0, batch.length)
    return true
  }

  #stillWaiting<Request extends StoreRequest> (all: Array<Waiting<Request>>, answers: StoreAnswer[]): Array<Waiting<Request>> {
    const now = this.#clock.now()
    const oldest = now >= this.#latest ? now : now - this.#lockTimeout
    const fault = faultOf(lockedError(this.#lockTimeout))
    return all.filter(({ request: { n }, since }) => {
      if (since > oldest) return true
      answers.push({ n, fault })
      return false
    })
  }
}

/** Work on other threads, whose results come in the order in which it was given, for each of many owners. */

interface Job<T, R> {
  readonly item: T
  result: R | undefined
  isDone: boolean
  next: Job<T, R> | undefined
}

/** The jobs of one owner: those that run or wait for an earlier one, and from `unstarted` on those that wait. */
interface Line<T, R> {
  readonly owner: string
  first: Job<T, R> | undefined
  last: Job<T, R> | undefined
  unstarted: Job<T, R> | undefined
  length: number
  /** In the row of lines with jobs that wait. */
  isInRow: boolean
  nextInRow: Line<T, R> | undefined
}

export interface OrderedJobsInit<T, R> {
  /** Begins the work. `done` is called later, once. */
  run: (item: T, done: (result: R) => void) => void
  /** Takes the result, in order for one owner. Must not throw. */
  take: (item: T, result: R) => void
  /** Jobs that run at once. More keep other users of the threads waiting. */
  maxRunning: number
  /** Jobs of one owner, and of all, that have not been taken. */
  maxPerOwner: number
  maxJobs: number
}

export class OrderedJobs<T, R> {
  readonly #init: OrderedJobsInit<T, R>
  readonly #lines = new Map<string, Line<T, R>>()
  /** Lines with jobs that wait: each begins one in its turn. */
  #firstInRow: Line<T, R> | undefined
  #lastInRow: Line<T, R> | undefined
  #running = 0
  #size = 0
  #whenIdle: Array<() => void> = []

  constructor (init: OrderedJobsInit<T, R>) { this.#init = init }

  /** Jobs that have not been taken. */
  get size (): number { return this.#size }

  /** Whether jobs of an owner have not been taken. */
  has (owner: string): boolean { return this.#lines.has(owner) }

  /** False when there is no room. */
  push (owner: string, item: T): boolean {
    const { maxJobs, maxPerOwner } = this.#init
    let line = this.#lines.get(owner)
    if (this.#size >= maxJobs || (line !== undefined && line.length >= maxPerOwner)) return false
    if (line === undefined) {
      line = { owner, first: undefined, last: undefined, unstarted: undefined, length: 0, isInRow: false, nextInRow: undefined }
      this.#lines.set(owner, line)
    }
    const job: Job<T, R> = { item, result: undefined, isDone: false, next: undefined }
    if (line.last === undefined) line.first = job
    else line.last.next = job
    line.last = job
    line.unstarted ??= job
    line.length++
    this.#size++
    this.#enter(line)
    this.#start()
    return true
  }

  /** Settles once all that was given has been taken. */
  idle (): Promise<void> { return this.#size === 0 ? Promise.resolve() : new Promise((resolve) => { this.#whenIdle.push(resolve) }) }

  #enter (line: Line<T, R>): void {
    if (line.isInRow) return
    line.isInRow = true
    if (this.#lastInRow === undefined) this.#firstInRow = line
    else this.#lastInRow.nextInRow = line
    this.#lastInRow = line
  }

  #start (): void {
    const { maxRunning, run } = this.#init
    for (let line = this.#firstInRow; line !== undefined && this.#running < maxRunning; line = this.#firstInRow) {
      this.#firstInRow = line.nextInRow
      if (this.#firstInRow === undefined) this.#lastInRow = undefined
      line.nextInRow = undefined
      line.isInRow = false
      const job = line.unstarted as Job<T, R>
      line.unstarted = job.next
      if (job.next !== undefined) this.#enter(line)
      this.#running++
      const owned = line
      run(job.item, (result) => { this.#done(owned, job, result) })
    }
  }

  #done (line: Line<T, R>, job: Job<T, R>, result: R): void {
    this.#running--
    job.result = result
    job.isDone = true
    this.#start() // first, so that the threads have work while the results are taken
    for (let first = line.first; first?.isDone === true; first = line.first) {
      line.first = first.next
      if (first.next === undefined) line.last = undefined
      line.length--
      this.#size--
      if (line.length === 0) this.#lines.delete(line.owner)
      this.#init.take(first.item, first.result as R)
    }
    if (this.#size > 0) return
    const waiting = this.#whenIdle
    this.#whenIdle = []
    for (const resolve of waiting) resolve()
  }
}

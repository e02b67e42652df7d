/** Two connections with a network between them that loses, repeats, delays and reorders segments, by a seed and in the time of a test. */
import { random } from '../bytes.ts'
import { ManualClock } from '../clock.ts'
import { Connection } from '../../../src/transports/memory/simulation/stream/connection.ts'
import { CONNECTION_DEFAULTS, type ConnectionLimits } from '../../../src/transports/memory/simulation/stream/connection-init.ts'
import { Flag, isSegment, lengthOf, optionsOf, type Segment } from '../../../src/transports/memory/simulation/stream/segment.ts'

/** Bytes of the headers of IPv4 and TCP. */
const HEADERS = 40

export interface PipeInit extends ConnectionLimits {
  seed?: number
  /** Of 1000 segments. */
  lost?: number
  repeated?: number
  /** Milliseconds that a segment takes: at least, and at most. Different ones reorder. */
  delay?: readonly [number, number]
  mtu?: number
  sequences?: readonly [number, number]
}

/** What a program at one end does and sees. */
export class End {
  readonly connection: Connection
  readonly log: string[] = []
  readonly received: Uint8Array[] = []
  /** It reads what comes, at once. */
  reads = true
  /** It writes what it reads. */
  echoes = false
  /** It finishes when the other side has. */
  #endsAtEnd = false
  #toWrite: Uint8Array = new Uint8Array(0)
  #wantsEnd = false
  #sawEnd = false

  constructor (make: (events: ConstructorParameters<typeof Connection>[0]['events']) => Connection) {
    this.connection = make({
      opened: () => { this.log.push('opened') },
      readable: () => { if (this.reads) this.read() },
      writable: () => { this.#write() },
      failed: (code) => { this.log.push(code) },
      gone: () => { this.log.push('gone') }
    })
  }

  get bytes (): Buffer { return Buffer.concat(this.received) }

  get unwritten (): number { return this.#toWrite.length }

  write (bytes: Uint8Array): this {
    this.#toWrite = Buffer.concat([this.#toWrite, bytes])
    this.#write()
    return this
  }

  /** Behind everything that is written. */
  end (): this {
    this.#wantsEnd = true
    this.#write()
    return this
  }

  endAtEnd (): this {
    this.#endsAtEnd = true
    return this
  }

  read (): void {
    for (let bytes; (bytes = this.connection.read()) !== undefined;) {
      this.received.push(bytes)
      if (this.echoes) this.write(bytes)
    }
    if (!this.connection.hasEnded || this.#sawEnd) return
    this.#sawEnd = true
    this.log.push('end')
    if (this.#endsAtEnd) this.end()
  }

  #write (): void {
    if (this.#toWrite.length > 0) {
      const written = this.connection.write(this.#toWrite)
      this.#toWrite = this.#toWrite.subarray(written)
    }
    if (this.#wantsEnd && this.#toWrite.length === 0) {
      this.#wantsEnd = false
      this.connection.end()
    }
  }
}

export class SegmentPipe {
  readonly clock = new ManualClock()
  readonly ends: readonly [End, End]
  /** Nothing passes. */
  isCut = false
  /** Every segment that was sent, whether it came or not, by end. */
  readonly sent: readonly [Segment[], Segment[]] = [[], []]
  /** May change what passes, and drop it. */
  filter: (segment: Segment, from: 0 | 1) => unknown = (segment) => segment
  largest = 0
  readonly #init: PipeInit
  readonly #below: (n: number) => number

  constructor (init: PipeInit = {}) {
    this.#init = init
    this.#below = random(init.seed ?? 1)
    const { mtu = 1500, sequences = [0xffff_fff0, 1000] } = init
    const make = (from: 0 | 1): End => new End((events) => new Connection({
      ...CONNECTION_DEFAULTS,
      ...init,
      maxData: mtu - HEADERS,
      clock: this.clock,
      sequence: sequences[from],
      send: (segment) => { this.#send(segment, from) },
      events
    }))
    this.ends = [make(0), make(1)]
  }

  /** The first segment makes the second end listen to it. */
  connect (): this {
    this.ends[0].connection.connect()
    return this
  }

  /** Both start at the same time. */
  connectBoth (): this {
    for (const { connection } of this.ends) if (connection.isNew) connection.connect() // else it has answered already, without delay
    return this
  }

  /** A connection that is open. */
  opened (): this {
    this.connect()
    this.clock.advance(10_000)
    return this
  }

  /** Milliseconds until a condition holds; throws after `most`. */
  until (condition: () => boolean, most: number): number {
    const start = this.clock.now()
    while (!condition()) {
      const [next] = this.clock.waiting
      if (next === undefined || this.clock.now() - start > most) throw new Error(`not after ${this.clock.now() - start} ms`)
      this.clock.advance(1)
    }
    return this.clock.now() - start
  }

  #send (segment: Segment, from: 0 | 1): void {
    this.sent[from].push(segment)
    this.largest = Math.max(this.largest, HEADERS + segment.data.length + optionsOf(segment))
    const { lost = 0, repeated = 0, delay: [least, most] = [10, 10] } = this.#init
    if (this.isCut) return
    for (let copies = this.#below(1000) < repeated ? 2 : 1; copies > 0; copies--) {
      if (this.#below(1000) < lost) continue
      const passed = this.filter(segment, from)
      if (passed === undefined) continue
      const ms = least + this.#below(most - least + 1)
      if (ms === 0) this.#deliver(passed, 1 - from)
      else this.clock.set(ms, () => { this.#deliver(passed, 1 - from) })
    }
  }

  #deliver (segment: unknown, to: number): void {
    const { connection } = this.ends[to]
    if (!connection.isNew) connection.receive(segment)
    else if (isSegment(segment) && segment.flags === Flag.SYN) connection.accept(segment)
  }
}

/** Sequence numbers that were sent, those that were sent again counted each time. */
export const sequencesOf = (segments: Segment[]): number => segments.reduce((sum, segment) => sum + lengthOf(segment), 0)

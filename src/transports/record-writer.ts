/**
 * Writes to a TCP socket in records, none of which is split over two segments as long as it fits into one.
 *
 * TCP has no message boundaries, and splits its data at the segment size. Some programs read without blocking and take a frame whose rest
 * has not arrived yet for a broken connection; for them each piece has to arrive in whole. After an end-of-record mark (`MSG_EOR`, send(2))
 * Linux appends nothing to an unsent buffer, so that the segment ends there. A mark costs about as much as a write, so a record has as many
 * pieces as fit into a segment.
 *
 * Marks need koffi and the descriptor of the socket. Without them each record is a separate write as long as nothing is queued, which keeps
 * records whole while the path is not congested.
 */
import type { Socket } from 'node:net'
import { descriptorOf, prepareSocketCalls, socketCalls } from '../net/native/socket-calls.ts'
import { unsentOf } from '../net/native/unsent.ts'
import type { Libc } from '../net/native/libc.ts'
import { IPPROTO_TCP, MSG_DONTWAIT, MSG_EOR, MSG_NOSIGNAL, TCP_MAXSEG } from '../net/native/socket-numbers.ts'
import { systemClock } from '../streams/clock.ts'
import type { Records } from '../types.ts'

const FLAGS = MSG_DONTWAIT | MSG_EOR | MSG_NOSIGNAL

const EINTR = 4

/** Bytes of a segment that selective acknowledgements may take (RFC 2018, section 3): four blocks, or three with time stamps. */
const SACK_ROOM = 36

/** Bytes of a record when the segment size is unknown: that of Ethernet. */
const DEFAULT_SIZE = 1448 - SACK_ROOM

/** Milliseconds for which a segment size is cached: it changes with the route. */
const SIZE_AGE = 1000

const word = new Int32Array(1)
const wordBytes = new Uint8Array(word.buffer)
const wordLength = new Uint8Array(new Uint32Array([wordBytes.length]).buffer)

/** A linked list: a queue of many small entries is emptied from its front. */
interface Entry {
  bytes: Uint8Array
  /** Bytes of it that were written. */
  at: number
  onWritten: () => void
  next: Entry | undefined
}

export class RecordWriter {
  readonly #socket: Socket
  readonly #records: Records
  readonly #onIdle: () => void
  readonly #calls: typeof socketCalls
  #first: Entry | undefined
  #last: Entry | undefined
  #queued = 0
  /** Node is writing, and calls back once the kernel has taken it. */
  #isHeld = false
  /** There is no mark after the bytes that Node has written. */
  #isUnmarked = true
  #size = DEFAULT_SIZE
  #sizedAt = -Infinity

  /**
   * Takes over the socket: nothing else may write to it.
   *
   * @param onIdle called when nothing is queued any more
   * @param calls returns the system calls
   */
  constructor (socket: Socket, records: Records, onIdle: () => void, calls = socketCalls) {
    this.#socket = socket
    this.#records = records
    this.#onIdle = onIdle
    this.#calls = calls
  }

  /** Bytes that were taken, and that neither the kernel nor Node has. */
  get queued (): number { return this.#queued }

  get isIdle (): boolean { return this.#first === undefined && !this.#isHeld }

  /**
   * Queues whole pieces. Their memory is in use until `onWritten` is called, which may be before this returns. It is not called when the
   * socket closes first.
   */
  write (bytes: Uint8Array, onWritten: () => void): void {
    const entry = { bytes, at: 0, onWritten, next: undefined }
    if (this.#last === undefined) this.#first = entry
    else this.#last.next = entry
    this.#last = entry
    this.#queued += bytes.length
    this.#run()
  }

  /** The socket has closed: drops the queue. */
  discard (): void {
    this.#first = this.#last = undefined
    this.#queued = 0
  }

  #run (): void {
    while (!this.#isHeld) {
      const entry = this.#first
      if (entry === undefined) {
        this.#onIdle()
        return
      }
      if (entry.at < entry.bytes.length) {
        this.#writeRecord(entry)
      } else {
        this.#first = entry.next
        if (entry.next === undefined) this.#last = undefined
        entry.onWritten()
      }
    }
  }

  #writeRecord (entry: Entry): void {
    const { bytes, at } = entry
    if (this.#socket.writableLength > 0) { // other code has written
      this.#hold(this.#records.filler)
      return
    }
    const libc = this.#calls()
    if (libc === undefined) { // without marks the first frames could be split
      this.#isHeld = true
      void prepareSocketCalls().then(() => { this.#release() })
      return
    }
    const fd = libc === null ? undefined : descriptorOf(this.#socket)
    if (libc !== null && fd !== undefined) this.#measure(libc, fd)
    const end = this.#records.end(bytes, at, this.#size)
    const record = bytes.subarray(at, end)
    if (libc === null || fd === undefined) {
      this.#take(entry, record.length)
      this.#writeAlone(record)
      return
    }
    const { filler } = this.#records
    // While bytes of Node are unsent without a mark, the next record would be appended to them.
    if (this.#isUnmarked && (unsentOf(this.#socket) ?? 0) > 0) {
      const sent = send(libc, fd, filler)
      if (sent < filler.length) {
        this.#hold(filler.subarray(sent))
        return
      }
    }
    this.#isUnmarked = false
    const sent = send(libc, fd, record)
    if (sent === record.length) {
      this.#take(entry, sent)
    } else if (sent === 0) {
      this.#hold(filler)
    } else { // what has begun is completed first
      this.#take(entry, record.length)
      this.#hold(record.subarray(sent))
    }
  }

  #take (entry: Entry, length: number): void {
    entry.at += length
    this.#queued -= length
  }

  /** Writes through Node, which can wait until the kernel takes more. */
  #hold (bytes: Uint8Array): void {
    this.#isUnmarked = true
    this.#isHeld = true
    if (this.#socket.writable) this.#socket.write(bytes, this.#release)
    else this.discard()
  }

  /** A separate write in place of a mark: nothing follows before the kernel has it. */
  #writeAlone (record: Uint8Array): void {
    const socket = this.#socket
    this.#isHeld = true
    if (!socket.writable) {
      this.discard()
    } else if (socket.write(record, this.#release) && socket.writableLength === 0) {
      this.#isHeld = false
    }
  }

  readonly #release = (err?: Error | null): void => {
    if (!this.#isHeld || err != null || this.#socket.writableLength > 0) return
    this.#isHeld = false
    this.#run()
  }

  #measure (libc: Libc, fd: number): void {
    const now = systemClock.now() // the segment size comes from the system, so its age is by the system clock
    if (now - this.#sizedAt < SIZE_AGE) return
    this.#sizedAt = now
    if (libc.getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, wordBytes, wordLength) === 0) this.#size = Math.max(1, word[0] - SACK_ROOM)
  }
}

/** Bytes that the kernel has taken; 0 also for an error, which Node meets as well when it writes. */
function send (libc: Libc, fd: number, record: Uint8Array): number {
  for (;;) {
    const sent = libc.send(fd, record, record.length, FLAGS)
    if (sent >= 0) return sent
    if (libc.errno() !== EINTR) return 0
  }
}

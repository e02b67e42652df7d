/** The options of reliable links. */
import { OptionError } from '../../errors.ts'
import { verifyBytes, verifyMilliseconds } from '../../options.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Clock } from '../../types.ts'

/** Bytes that a sender may send before the first acknowledgement (reliable protocol, section 5). */
export const INITIAL_WINDOW = 64 << 10

/** Bytes of the smallest datagram that a path has to take, and of the largest one of UDP. */
const LEAST_DATAGRAM = 256
export const MOST_DATAGRAM = 65_507

/** Bytes of a window or a buffer at most. */
const MOST_BUFFER = 1 << 30

/** Options of {@link reliable}. */
export interface ReliableInit {
  /** Bytes of the largest datagram that the path takes; see `usePath`. Default: 1200. */
  maxDatagram?: number
  /** The path itself repeats datagrams until they have come; see `usePath`. Default: false. */
  isReliable?: boolean
  /** Bytes that are free in front of each datagram, in its own memory, for a layer below. Default: 0. */
  headroom?: number
  /** Bytes that are free behind each datagram. Default: 0. */
  tailroom?: number
  /** Bound in bytes of what was sent and is not acknowledged. Default: 4 MiB. */
  sendBuffer?: number
  /** Bytes up to which the receive window grows, for a reader that is fast: what may wait for the reader. At least 64 KiB. Default: 4 MiB. */
  receiveBuffer?: number
  /** Bound in bytes of what waits to be sent by `port`. Default: 256 KiB. */
  queueLimit?: number
  /** Milliseconds without any answer while something waits for one, until the link fails. Default: 30 000. */
  deadAfter?: number
  /** Milliseconds without a packet that asks for an answer, until such a one is sent. Default: Infinity, none is. */
  keepAlive?: number
  /** 0 to 1: see {@link BottleneckModelInit}. Default: `Math.random`. */
  random?: () => number
  /** Default: that of the system. */
  clock?: Clock
}

export type Settings = Required<ReliableInit>

/** Where packets go from now on. */
export interface ReliablePath {
  /** Bytes of the largest datagram. */
  maxDatagram: number
  /**
   * The path repeats datagrams until they have come, and its port tells by `queued` when it takes no more: then nothing is sent again, nor
   * paced, and what is on its way is bounded by the port and by the window of the other side.
   */
  isReliable: boolean
}

/** @throws {OptionError} when an option is out of range */
export function settingsOf (init: ReliableInit): Settings {
  const { isReliable = false, headroom = 0, tailroom = 0, keepAlive = Infinity, random = Math.random, clock = systemClock } = init
  const { maxDatagram } = verifyPath({ maxDatagram: init.maxDatagram ?? 1200, isReliable })
  for (const [name, value] of Object.entries({ headroom, tailroom })) {
    if (!Number.isSafeInteger(value) || value < 0 || value > MOST_DATAGRAM) throw new OptionError(`${name} is a whole number of bytes, 0 to ${MOST_DATAGRAM}, not ${String(value)}`)
  }
  return {
    maxDatagram,
    isReliable,
    headroom,
    tailroom,
    sendBuffer: bufferSize('sendBuffer', init.sendBuffer ?? 4 << 20),
    receiveBuffer: bufferSize('receiveBuffer', init.receiveBuffer ?? 4 << 20),
    queueLimit: verifyBytes('queueLimit', init.queueLimit ?? 256 << 10),
    deadAfter: verifyMilliseconds('deadAfter', init.deadAfter ?? 30_000),
    keepAlive: keepAlive === Infinity ? keepAlive : verifyMilliseconds('keepAlive', keepAlive),
    random,
    clock
  }
}

/** @throws {OptionError} when a path cannot be that way */
export function verifyPath ({ maxDatagram, isReliable }: ReliablePath): ReliablePath {
  if (!Number.isSafeInteger(maxDatagram) || maxDatagram < LEAST_DATAGRAM || maxDatagram > MOST_DATAGRAM) {
    throw new OptionError(`maxDatagram is a whole number of bytes, ${LEAST_DATAGRAM} to ${MOST_DATAGRAM}, not ${String(maxDatagram)}`)
  }
  if (typeof isReliable !== 'boolean') throw new OptionError(`isReliable is true or false, not ${String(isReliable)}`)
  return { maxDatagram, isReliable }
}

function bufferSize (name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < INITIAL_WINDOW || value > MOST_BUFFER) {
    throw new OptionError(`${name} is a whole number of bytes, ${INITIAL_WINDOW} to ${MOST_BUFFER}, not ${String(value)}`)
  }
  return value
}

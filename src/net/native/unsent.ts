/**
 * How much the kernel holds of what was written to a socket and has not sent yet. It takes megabytes without a word, and
 * whatever is written next waits behind them.
 *
 * Linux tells by an `ioctl`. Where that cannot be called the layers above have to find out in another way, if they can.
 */
import type { Duplex } from 'node:stream'
import { descriptorOf, socketCalls } from './socket-calls.ts'

const SIOCOUTQNSD = 0x894b

const answer = new Int32Array(1)
const answerBytes = new Uint8Array(answer.buffer)

/** Bytes, at the price of a system call; undefined where that cannot be known, and 0 until it is known whether it can. Of TLS they are those of its records. */
export function unsentOf (stream: Duplex): number | undefined {
  const libc = socketCalls()
  if (libc === undefined) return 0
  const fd = libc === null ? undefined : descriptorOf(stream)
  return libc !== null && fd !== undefined && libc.ioctl(fd, SIOCOUTQNSD, answerBytes) === 0 ? answer[0] : undefined
}

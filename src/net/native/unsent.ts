/**
 * Bytes in the send buffer of a socket that the kernel has not sent yet (`SIOCOUTQNSD`). The kernel takes megabytes at once, and later
 * writes are queued after them.
 *
 * Linux tells by an `ioctl`, and takes a bound by `TCP_NOTSENT_LOWAT`, tcp(7). Where that is not possible, the layers above have to measure
 * it.
 */
import type { Duplex } from 'node:stream'
import { descriptorOf, setSocketOption, socketCalls } from './socket-calls.ts'
import { IPPROTO_TCP, TCP_NOTSENT_LOWAT } from './socket-numbers.ts'

const SIOCOUTQNSD = 0x894b

const answer = new Int32Array(1)
const answerBytes = new Uint8Array(answer.buffer)

/** Unsent bytes, by a system call; undefined where the call cannot be made, 0 while koffi is being loaded. For TLS the bytes are those of records. */
export function unsentOf (stream: Duplex): number | undefined {
  const libc = socketCalls()
  if (libc === undefined) return 0
  const fd = libc === null ? undefined : descriptorOf(stream)
  return libc !== null && fd !== undefined && libc.ioctl(fd, SIOCOUTQNSD, answerBytes) === 0 ? answer[0] : undefined
}

/**
 * Lets the kernel take no more writes once it holds this many unsent bytes, and one write beyond. Bytes in flight do not count, so a
 * receiver that reads is as fast as before. Does nothing where the call cannot be made.
 */
export function boundUnsent (stream: Duplex, bytes: number): void {
  setSocketOption(stream, IPPROTO_TCP, TCP_NOTSENT_LOWAT, new Uint8Array(new Uint32Array([bytes]).buffer))
}

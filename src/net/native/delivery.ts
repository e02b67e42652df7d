/**
 * Progress of what was written to a TCP connection, as the kernel sees it: the bytes that the other end has acknowledged, and whether it
 * answers.
 *
 * By `TCP_INFO` on Linux, tcp(7); unknown elsewhere.
 */
import type { Duplex } from 'node:stream'
import type { Delivery } from '../../types.ts'
import { descriptorOf, socketCalls } from './socket-calls.ts'
import { IPPROTO_TCP, TCP_INFO } from './socket-numbers.ts'

/** Offsets in `struct tcp_info` of linux/tcp.h, which grows only at its end; the kernel returns as much of it as it has. */
const RETRANSMITS = 2
const PROBES = 3
const BYTES_ACKED = 120
const SIZE = 128

/** One window probe is outstanding whenever the receiver has no room; a second one means that the first was not answered. */
const UNANSWERED_PROBES = 2

const info = new Uint8Array(SIZE)
const view = new DataView(info.buffer)
const length = new Uint32Array(1)
const lengthBytes = new Uint8Array(length.buffer)
const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** By a system call; undefined where it is unknown, or not known yet. */
export function deliveryOf (stream: Duplex): Delivery | undefined {
  const libc = socketCalls()
  const fd = libc == null ? undefined : descriptorOf(stream)
  if (libc == null || fd === undefined) return undefined
  length[0] = SIZE
  if (libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, lengthBytes) !== 0 || length[0] < SIZE) return undefined
  return {
    acknowledged: Number(view.getBigUint64(BYTES_ACKED, isLittleEndian)),
    isUnanswered: info[RETRANSMITS] > 0 || info[PROBES] >= UNANSWERED_PROBES
  }
}

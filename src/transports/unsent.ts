/**
 * How much the kernel holds of what was written to a socket and has not sent yet. It takes megabytes without a word, and
 * whatever is written next waits behind them.
 *
 * Linux tells by an `ioctl`. That needs the optional koffi, and the descriptor of the socket, which Node has in a handle that is
 * not documented. Where one of them is missing the layers above have to find out in another way, if they can.
 */
import type { Duplex } from 'node:stream'
import { loadLibc, type Libc } from '../tun/libc.ts'

const SIOCOUTQNSD = 0x894b

const answer = new Int32Array(1)
const answerBytes = new Uint8Array(answer.buffer)

/** Undefined until it is known whether there is one. */
let libc: Libc | null | undefined
let loading: Promise<void> | undefined

/** Makes ready what {@link unsentOf} needs, which otherwise happens while its first answers are 0. */
export function prepareUnsent (): Promise<void> {
  loading ??= load()
  return loading
}

async function load (): Promise<void> {
  libc = process.platform === 'linux' ? await loadLibc().catch(() => null) : null
}

/** Bytes, at the price of a system call; undefined where that cannot be known. Of TLS they are those of its records. */
export function unsentOf (stream: Duplex): number | undefined {
  if (libc === undefined) {
    void prepareUnsent()
    return 0
  }
  if (libc === null) return undefined
  const fd = (stream as { _handle?: { fd?: unknown } | null })._handle?.fd // looked up each time: once closed, the number may be that of another
  if (typeof fd !== 'number' || fd < 0) return undefined
  return libc.ioctl(fd, SIOCOUTQNSD, answerBytes) === 0 ? answer[0] : undefined
}

/**
 * System calls on sockets that Node has opened. They need the optional koffi and the descriptor, which is in an undocumented handle.
 * Callers need a fallback for where one of the two is missing.
 */
import type { Duplex } from 'node:stream'
import { loadLibc, type Libc } from './libc.ts'

/** Undefined until loading has finished. */
let libc: Libc | null | undefined
let loading: Promise<void> | undefined

/** Loads the library for {@link socketCalls}. Never rejects. */
export function prepareSocketCalls (): Promise<void> {
  loading ??= load()
  return loading
}

async function load (): Promise<void> {
  libc = process.platform === 'linux' ? await loadLibc().catch(() => null) : null
}

/** The C library; null where it cannot be loaded, undefined while that is not known yet. The first call starts loading. */
export function socketCalls (): Libc | null | undefined {
  if (libc === undefined) void prepareSocketCalls()
  return libc
}

/** The descriptor of a socket; undefined when it is closed or has none. Must be read at each use: after a close the number may be that of another socket. */
export function descriptorOf (stream: Duplex): number | undefined {
  const fd = (stream as { _handle?: { fd?: unknown } | null })._handle?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}

/** Sets an option of a socket; later when the library is still being loaded. Does nothing where the call cannot be made. */
export function setSocketOption (stream: Duplex, level: number, option: number, value: Uint8Array): void {
  const libc = socketCalls()
  if (libc === undefined) {
    void prepareSocketCalls().then(() => { setSocketOption(stream, level, option, value) })
    return
  }
  const fd = descriptorOf(stream)
  if (libc !== null && fd !== undefined) libc.setsockopt(fd, level, option, value, value.length)
}

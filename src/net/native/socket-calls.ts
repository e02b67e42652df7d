/**
 * System calls on sockets that Node has opened. They need the optional koffi, and the descriptor, which Node keeps in a handle that
 * is not documented. Whoever uses them has another way for where one of the two is missing.
 */
import type { Duplex } from 'node:stream'
import { loadLibc, type Libc } from './libc.ts'

/** Undefined until it is known whether there is one. */
let libc: Libc | null | undefined
let loading: Promise<void> | undefined

/** Loads what {@link socketCalls} gives. Never rejects. */
export function prepareSocketCalls (): Promise<void> {
  loading ??= load()
  return loading
}

async function load (): Promise<void> {
  libc = process.platform === 'linux' ? await loadLibc().catch(() => null) : null
}

/** The C library; null where it cannot be had, and undefined as long as that is not known, which the first call finds out. */
export function socketCalls (): Libc | null | undefined {
  if (libc === undefined) void prepareSocketCalls()
  return libc
}

/** The descriptor of a socket; undefined when it is closed or has none. To be asked for at each use: once closed, its number may be that of another. */
export function descriptorOf (stream: Duplex): number | undefined {
  const fd = (stream as { _handle?: { fd?: unknown } | null })._handle?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}

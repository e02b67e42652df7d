/**
 * Reads into the buffer pool, for bulk streams: allocating and collecting 64 KiB for each read costs more than the read.
 *
 * Node does that for sockets made with the option `onread`, which accepted sockets cannot have. This sets the fields of that option on
 * a socket of either kind once it is busy. They are not documented, so they are looked for at load; without them sockets read as usual.
 */
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Duplex } from 'node:stream'
import { acquireBlock, release, SIZES } from '../../buffers/buffer-pool.ts'

/** A read that fills less than this fraction of its buffer is copied, and the next one gets a smaller buffer. */
const SHARE = 4

/** Maximum number of sockets with pooled reads: each holds a buffer, busy or not. */
const MAX_SOCKETS = 128

/** The same for sockets with small buffers, beyond the first bound. */
const MAX_FRUGAL_SOCKETS = 4096

interface Keys {
  buffer: symbol
  callback: symbol
  next: symbol
}

/** The fields that the option `onread` sets on a socket; undefined when this version of Node does it in another way. */
function findKeys (): Keys | undefined {
  const [buffer, callback, next] = [Buffer.alloc(1), () => true, () => buffer]
  const keyOf = (value: unknown, onread: { buffer: Buffer | (() => Buffer) }): symbol | undefined => {
    const socket = new Socket({ onread: { ...onread, callback } } as ConstructorParameters<typeof Socket>[0])
    return Object.getOwnPropertySymbols(socket).find((key) => (socket as unknown as Record<symbol, unknown>)[key] === value)
  }
  const keys = { buffer: keyOf(buffer, { buffer }), callback: keyOf(callback, { buffer }), next: keyOf(next, { buffer: next }) }
  return keys.buffer === undefined || keys.callback === undefined || keys.next === undefined ? undefined : keys as Keys
}

const keys = findKeys()
let sockets = 0
let frugal = 0

export interface PooledReadsInit {
  /** `simd` memory, see `acquireBlock`. Default: false. */
  simd?: boolean
  /** Maximum bytes of a read, at least the smallest block; called before each read. Default: no maximum. */
  largest?: () => number
}

/** Whether this version of Node supports it. */
export const canPoolReads = keys !== undefined

/**
 * Switches a socket to pooled reads, from its next read on. Once for each socket, while it flows and nothing is buffered in it.
 *
 * @param onBytes called with a view of pooled memory, which may be released when it was used. Returns false to pause reading until
 *   `socket.resume()`
 * @returns false when it is not possible; then the socket emits `data` as before
 */
export function usePooledReads (socket: Duplex, onBytes: (bytes: Uint8Array) => boolean, { simd = false, largest = () => Infinity }: PooledReadsInit = {}): boolean {
  if (keys === undefined || !(socket instanceof Socket) || socket instanceof TLSSocket) return false
  const handle = (socket as unknown as { _handle?: { useUserBuffer?: (buffer: Buffer) => void } })._handle
  if (typeof handle?.useUserBuffer !== 'function' || socket.destroyed) return false
  const isFrugal = sockets >= MAX_SOCKETS
  if (isFrugal && (frugal >= MAX_FRUGAL_SOCKETS || largest() >= SIZES[1])) return false
  if (isFrugal) frugal++
  else sockets++
  socket.once('close', () => {
    if (isFrugal) frugal--
    else sockets--
  })
  const highest = (): number => {
    const most = largest()
    let level = isFrugal ? 1 : SIZES.length - 1
    while (level > 0 && SIZES[level] > most) level--
    return level
  }
  let level = highest()
  const fields = socket as unknown as Record<symbol, unknown>
  const first = acquireBlock(SIZES[level], simd)
  fields[keys.buffer] = first
  fields[keys.callback] = (length: number, buffer: Buffer): boolean => {
    if (length === buffer.length) level = Math.min(level + 1, highest())
    if (length * SHARE >= buffer.length) return onBytes(buffer.subarray(0, length))
    // Small reads that are queued for a slow receiver must not hold a large buffer each.
    level = Math.max(level - 1, 0)
    const copy = Buffer.from(buffer.subarray(0, length))
    release([buffer])
    return onBytes(copy)
  }
  fields[keys.next] = () => {
    level = Math.min(level, highest())
    return acquireBlock(SIZES[level], simd)
  }
  handle.useUserBuffer(first)
  return true
}

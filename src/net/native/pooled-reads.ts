/**
 * Reads into memory that is used again: for bulk streams that only pass through, where making and collecting 64 KiB for each
 * read costs more than the read.
 *
 * A socket of Node does that when it is made with the option `onread`, which is there for sockets that connect and not for
 * those that a server accepts. What that option sets is set here on a socket of either kind, once it is known to be busy. It is
 * not documented in this form, so it is looked for at the start; where it is not found, sockets read as they always do.
 */
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Duplex } from 'node:stream'
import { acquireBlock, release, SIZES } from '../../buffers/buffer-pool.ts'

/** A read that fills less than this part of its buffer is copied, and followed by one into a smaller buffer. */
const SHARE = 4

/** Sockets that read like this at one time: each has a buffer, busy or not. */
const MAX_SOCKETS = 128

/** The same for those with small buffers, which have them since memory is scarce. */
const MAX_FRUGAL_SOCKETS = 4096

interface Keys {
  buffer: symbol
  callback: symbol
  next: symbol
}

/** What the option `onread` sets on a socket; undefined when this Node does that in another way. */
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
  /** Which memory: see `acquireBlock`. Default: false. */
  simd?: boolean
  /** Bytes that a read may bring; a small piece it is at least. It is asked before each read. Default: any number. */
  largest?: () => number
}

/** Whether this Node can do it. */
export const canPoolReads = keys !== undefined

/**
 * From its next read on a socket reads into lent memory. Once only for each, and while it flows and nothing waits in it.
 *
 * @param onBytes is given a view of borrowed memory, to be given back, or not. False stops the reading until
 *   `socket.resume()`
 * @returns false when that cannot be; then the socket emits `data` as before
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
    // Many small reads that wait for a slow receiver must not hold a large buffer each.
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

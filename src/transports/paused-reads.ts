/**
 * Bounds what a socket reads while it is paused. Node goes on reading until `readableHighWaterMark` bytes are buffered, and that may be as many
 * reads of one byte, each of which takes some 350 bytes of memory. With 1 it stops after the next read or two, however small. Nothing else changes:
 * usual reads are larger than the mark, and those of a socket that flows are not buffered.
 */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Documented is only to set it for both directions of new sockets. */
interface WithState { readonly _readableState?: { highWaterMark: number } }

export function stopReadingWhenPaused (stream: Duplex): void {
  const state = stream instanceof Socket ? (stream as unknown as WithState)._readableState : undefined
  if (state !== undefined) state.highWaterMark = 1
}

/** Events of a peer, and waiting until it is online. */

/** Emits an event. An exception of an event listener becomes an uncaught exception, and does not take the peer offline. */
export function tell (emit: () => void): void {
  try {
    emit()
  } catch (err) {
    process.nextTick(() => { throw err })
  }
}

interface Startable {
  start (): void
  close (): Promise<void>
}

export interface OnlineInit {
  /** Aborts the start. */
  signal?: AbortSignal
  /** Gets the function to call when the peer will never be online. */
  onFailed (fail: (err: Error) => void): void
  /** Settles when the peer is online; rejects when the signal aborts. */
  online (signal: AbortSignal): Promise<unknown>
}

/**
 * Starts a peer and settles when it is online. On failure the peer is closed.
 *
 * @throws the error given to `fail`, or the reason of the signal
 */
export async function untilOnline<P extends Startable> (peer: P, { signal, onFailed, online }: OnlineInit): Promise<P> {
  const failed = new AbortController()
  onFailed((err) => { failed.abort(err) })
  const ends = signal === undefined ? failed.signal : AbortSignal.any([failed.signal, signal])
  peer.start()
  try {
    await online(ends)
  } catch {
    await peer.close()
    throw ends.reason
  }
  return peer
}

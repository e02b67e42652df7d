/** How a peer tells of itself, and how its user waits for it. */

/** What a listener throws is its own fault: an uncaught exception, as from any emitter, and no reason for a peer to be offline. */
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
  /** Does without the peer. */
  signal?: AbortSignal
  /** Is given what to call when the peer will never be online. */
  onFailed (fail: (err: Error) => void): void
  /** Settles when the peer is online; rejects when the signal says that it will not be. */
  online (signal: AbortSignal): Promise<unknown>
}

/** Starts a peer; settles when it is online. Else it is closed, and this rejects with why, or the reason of the signal. */
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

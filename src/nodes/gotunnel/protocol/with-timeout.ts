import type { Clock } from '../../../types.ts'

/**
 * Runs an abortable operation, and aborts it after a timeout or with the signal. It has its own timer: `AbortSignal.any` does not keep
 * the signal of `AbortSignal.timeout` alive, so that the timeout may be garbage-collected.
 */
export async function withTimeout<T> (clock: Clock, milliseconds: number, signal: AbortSignal | undefined, run: (timeoutSignal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const abort = (): void => { controller.abort(signal?.reason) }
  const timer = clock.set(milliseconds, () => { controller.abort(new DOMException('no answer in time', 'TimeoutError')) })
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted === true) abort()
  try {
    return await run(controller.signal)
  } finally {
    clock.clear(timer)
    signal?.removeEventListener('abort', abort)
  }
}

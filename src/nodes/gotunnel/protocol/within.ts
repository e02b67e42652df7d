/**
 * Runs something that can be aborted, and aborts it when it takes too long or when the signal does. With a timer of its own:
 * `AbortSignal.any` does not keep the signal of `AbortSignal.timeout` alive, so that a deadline may be collected as garbage.
 */
export async function within<T> (milliseconds: number, signal: AbortSignal, run: (inTime: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const abort = (): void => { controller.abort(signal.reason) }
  const timer = setTimeout(() => { controller.abort(new DOMException('no answer in time', 'TimeoutError')) }, milliseconds)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    return await run(controller.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

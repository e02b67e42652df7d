/** A promise that is not waited for any more once a signal is aborted. */

/** @throws the reason of the signal when that is first; what the promise still brings is up to the caller */
export async function orAborted<T> (promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let leave = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    leave = () => { reject(signal.reason) }
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
  return await Promise.race([promise, aborted]).finally(() => { signal.removeEventListener('abort', leave) })
}

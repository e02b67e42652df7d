/** Readiness of descriptors. */

/** A descriptor that is polled. */
export interface PollHandle {
  /** Calls `onReady` whenever the descriptor is readable or has an error, until `stop`. */
  start (): void
  stop (): void
  /** Calls `onWritable` once, when the descriptor takes something to send or has an error; whether started or not. */
  whenWritable (onWritable: () => void): void
  /** Calls `onReady` once when started, for an event that polling may have missed. */
  check (): void
  /** Settles when the descriptor is not polled any more; undefined: it is not. It must not be closed before, since its number is used again. */
  close (): Promise<void> | undefined
}

export interface Poller {
  /** @param onReady called with an error when polling has failed for good */
  watch (fd: number, onReady: (err?: Error) => void): PollHandle
}

const FAR_AWAY = 0x7fffffff // ms; the maximum of a timer

let holders = 0
let timer: NodeJS.Timeout | undefined

/** Keeps the process alive until the returned function is called, as an open socket does. */
export function holdProcess (): () => void {
  // eslint-disable-next-line no-restricted-globals -- it measures nothing, and this folder knows no streams
  timer ??= setInterval(() => {}, FAR_AWAY)
  holders++
  let held = true
  return () => {
    if (!held) return
    held = false
    if (--holders > 0) return
    // eslint-disable-next-line no-restricted-globals
    clearInterval(timer)
    timer = undefined
  }
}

/** How a device learns that it may read again. */

/** One descriptor that is being looked at. */
export interface PollHandle {
  /** From now on it is told when a read may bring something or tell what is wrong: again and again, until `stop`. */
  start (): void
  stop (): void
  /** Settles when nobody looks at the descriptor any more: only then may it be closed, since its number is used again. */
  close (): Promise<void>
}

export interface Poller {
  /** @param onReady is called with an error when nothing more will ever be told */
  watch (fd: number, onReady: (err?: Error) => void): PollHandle
}

const FAR_AWAY = 0x7fffffff // ms; the longest time that a timer takes

let holders = 0
let timer: NodeJS.Timeout | undefined

/** Keeps the process alive until the returned function is called, as an open socket would, whether somebody reads or not. */
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

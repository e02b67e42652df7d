/** Turns of the event loop, for code that bounds its work per turn so that other code can run. */
let turn = 0
let isCounting = false

/** The number of the current turn. It changes after the callbacks of all ready sockets have run. */
export function currentTurn (): number {
  if (!isCounting) {
    isCounting = true
    setImmediate(() => {
      isCounting = false
      turn++
    })
  }
  return turn
}

/** Settles in the next turn. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })

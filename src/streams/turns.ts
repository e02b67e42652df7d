/** Turns of the event loop, for those who do much in one and have to let others have theirs. */
let turn = 0
let isCounting = false

/** The number of this turn. It is the same until the callbacks of all sockets that are ready have had theirs. */
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

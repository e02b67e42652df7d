/** A process that does what the other end of its IPC channel tells it, and ends with that. Told by `Agent` of traffic.ts. */

type Command = (...args: any[]) => Promise<unknown>

interface Call {
  id: number
  name: string
  args: unknown[]
}

/** Answers each call with the result of the command of that name, or with why there is none. */
export function serve (commands: Readonly<Record<string, Command>>): void {
  process.on('message', async ({ id, name, args }: Call) => {
    try {
      process.send?.({ id, result: await commands[name](...args) })
    } catch (err) {
      process.send?.({ id, error: `${name}: ${(err as Error).message}` })
    }
  })
  process.on('disconnect', () => { process.exit() })
}

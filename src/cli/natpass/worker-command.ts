/**
 * `peer natpass vnc.worker --name RULE --port N`: the process that captures the screen for a peer, which starts it (natpass protocol, section 4.3).
 * Its first picture has to come within a second, so nothing of the other commands is loaded for it.
 */
import { parseArgs } from 'node:util'
import type { Task } from '../process/lifecycle.ts'
import { UsageError } from '../usage-error.ts'

/** What the peer knows it by. In the environment, as every user of the machine can read arguments. */
const TOKEN = 'TUNPIPE_WORKER_TOKEN'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** Whether that command is meant. */
export const isWorkerCommand = ([protocol, command]: readonly string[]): boolean => protocol === 'natpass' && command === 'vnc.worker'

/** @throws {UsageError} */
export function parseWorker (args: readonly string[]): Task {
  const port = portOf(args.slice(2))
  const token = process.env[TOKEN]
  delete process.env[TOKEN]
  if (token === undefined) throw new UsageError(`${TOKEN} is not set: a peer starts this command`)
  return {
    async task () {
      const { runWorker } = await import('../../nodes/natpass/peer/desktop/worker/worker.ts')
      const stopped = new AbortController()
      for (const signal of SIGNALS) process.once(signal, () => { stopped.abort() }) // keys that are held have to be released
      await runWorker({ port, token, signal: stopped.signal })
    }
  }
}

/** The rule is for those who look at processes. */
function portOf (args: string[]): number {
  try {
    const { port = '' } = parseArgs({ args, options: { name: { type: 'string' }, port: { type: 'string' } } }).values
    if (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535) return Number(port)
  } catch (err) {
    throw new UsageError((err as Error).message, { cause: err })
  }
  throw new UsageError('--port: missing or no port, expected 1 to 65535, where the peer listens at 127.0.0.1')
}

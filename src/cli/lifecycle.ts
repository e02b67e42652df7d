/** The life of a process: it starts, runs until a signal, drains, and leaves with an exit code that means something. */
import type { Logger } from 'pino'
import { codeOf, reason } from './reason.ts'

export const EXIT = { clean: 0, failure: 1, usage: 2 } as const

/** A process that has been told to end is gone within 5 s, drained or not. The rest is for the way out itself. */
const DRAIN_DEADLINE_MS = 4500

/** What runs until it is stopped. */
export interface Running {
  /** Drains and ends. */
  stop (): Promise<void>
  /** Rejects when it cannot go on. */
  readonly failed?: Promise<never>
}

/** What the command line asked for, checked but not yet begun. */
export interface Plan {
  log: Logger
  start (): Promise<Running>
}

/** Parses, starts, waits for a signal, stops, exits. Nothing to start (`--help`) is a clean end. */
export async function run (parse: () => Plan | undefined): Promise<void> {
  // Whoever read our lines may go away (`| head`), and a disk may be full: neither is a reason to end a tunnel.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  try {
    const plan = parse()
    if (plan !== undefined) await live(plan)
  } catch (err) {
    complain(err)
  }
}

async function live (plan: Plan): Promise<void> {
  const { log } = plan
  const crash = (err: unknown): void => {
    log.fatal({ err }, 'uncaught error')
    process.exit(EXIT.failure)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  const signal = untilSignal(log)
  try {
    const running = await plan.start()
    await Promise.race([signal, running.failed ?? signal])
    await running.stop()
  } catch (err) {
    if (exitCodeOf(err) === EXIT.usage) {
      complain(err)
      process.exit(EXIT.usage)
    }
    log.fatal(codeOf(err) === undefined ? { err } : { code: codeOf(err) }, reason(err))
    process.exit(EXIT.failure)
  }
  log.info({}, 'stopped')
  process.exit(EXIT.clean)
}

/** Settles at the first signal, also one that comes during the start. The second one ends the process on the spot. */
function untilSignal (log: Logger): Promise<void> {
  return new Promise((resolve) => {
    setInterval(() => {}, 2 ** 30) // the process lives until `exit`, whether or not anything else holds it
    let stopping = false
    const stop = (signal: NodeJS.Signals): void => {
      if (stopping) process.exit(EXIT.failure)
      stopping = true
      log.info({ signal }, 'stopping')
      setTimeout(() => {
        log.error({ deadline: DRAIN_DEADLINE_MS }, 'could not drain in time')
        process.exit(EXIT.failure)
      }, DRAIN_DEADLINE_MS).unref()
      resolve()
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}

/** `ERR_OPTION` comes from a node that looked closer at an option than the schema did. */
function exitCodeOf (err: unknown): number {
  return ['ERR_USAGE', 'ERR_OPTION'].includes(codeOf(err) ?? '') ? EXIT.usage : EXIT.failure
}

/** One line for what is foreseen; the stack for a defect. */
function complain (err: unknown): void {
  const foreseen = err instanceof Error && codeOf(err) !== undefined
  process.stderr.write(`${foreseen ? err.message.replaceAll(/\s*\n\s*/g, ' ') : err instanceof Error ? err.stack : String(err)}\n`)
  process.exitCode = exitCodeOf(err)
}

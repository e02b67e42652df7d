/**
 * The life of a process: it starts, runs until a signal, drains, and leaves with an exit code that means something. SIGHUP has
 * it read its settings again, if it can do that.
 */
import type { Logger } from 'pino'
import { codeOf, reason } from '../reason.ts'
import { exitProcess, threadsDone } from './exit.ts'

export const EXIT = { clean: 0, failure: 1, usage: 2, absent: 3 } as const

/** A process that has been told to end is gone within 5 s, drained or not. The rest is for the way out itself. */
const DRAIN_DEADLINE_MS = 4500

/** What runs until it is stopped. */
export interface Running {
  /** Drains and ends. */
  stop (): Promise<void>
  /** Rejects when it cannot go on. */
  readonly failed?: Promise<never>
  /** Reads the settings again, for whoever has sent SIGHUP. Never rejects: what is wrong with them is told in the log. */
  reload? (): Promise<void>
}

/** What the command line asked for, checked but not yet begun. */
export interface Plan {
  log: Logger
  /** Also tell on stderr as a JSON line why the start failed. */
  json: boolean
  start (): Promise<Running>
}

/** Something that is done at once, and has an exit code. */
export interface Task {
  task (): Promise<void>
}

/**
 * Parses, starts, waits for a signal, stops, exits. Nothing to start (`--help`) is a clean end.
 *
 * @param program - stands in front of what it says about a start that failed
 */
export async function run (program: string, parse: () => Plan | Task | undefined): Promise<void> {
  // Whoever read our lines may go away (`| head`), and a disk may be full: neither is a reason to end a tunnel.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  const sighup = new SighupHandler()
  try {
    const plan = parse()
    if (plan === undefined || 'task' in plan) sighup.remove()
    if (plan === undefined) return
    if ('task' in plan) await plan.task()
    else await live(program, plan, sighup)
  } catch (err) {
    complain(program, err)
  }
}

/** Takes SIGHUP from the first moment on: a relay that is told to read its settings while it starts must not end of it. */
class SighupHandler {
  #isWaiting = false
  #take: (() => void) | undefined
  readonly #onSignal = (): void => {
    if (this.#take === undefined) this.#isWaiting = true
    else this.#take()
  }

  constructor () { process.on('SIGHUP', this.#onSignal) }

  /** What to do from now on, also for one that has come. */
  handle (take: () => void): void {
    this.#take = take
    if (this.#isWaiting) take()
    this.#isWaiting = false
  }

  /** The system does what it does. */
  remove (): void {
    process.off('SIGHUP', this.#onSignal)
    if (this.#isWaiting) process.kill(process.pid, 'SIGHUP')
  }
}

async function live (program: string, { log, json, start }: Plan, sighup: SighupHandler): Promise<void> {
  const crash = (err: unknown): void => {
    log.fatal({ err }, 'uncaught error')
    exitProcess(EXIT.failure)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  const { stopped: signal, stop } = untilSignal(log)
  const running = await start().catch((err) => {
    if (exitCodeOf(err) === EXIT.usage || (!json && codeOf(err) !== undefined)) complain(program, err)
    else logFatal(log, err)
    exitProcess(exitCodeOf(err))
  })
  sighup.handle(() => {
    if (running.reload === undefined) stop('SIGHUP')
    else void running.reload()
  })
  const failed = await Promise.race([signal, running.failed ?? signal]).then(() => false, (err) => {
    logFatal(log, err)
    limitDrain(log)
    return true
  })
  try {
    await running.stop() // also after a failure: what still works says goodbye and tidies up
  } catch (err) {
    logFatal(log, err)
    exitProcess(EXIT.failure)
  }
  log.info({}, 'stopped')
  await threadsDone()
  exitProcess(failed ? EXIT.failure : EXIT.clean)
}

function logFatal (log: Logger, err: unknown): void {
  log.fatal(codeOf(err) === undefined ? { err } : { code: codeOf(err) }, reason(err))
}

/** From now on there is a deadline for the process to end by itself. */
function limitDrain (log: Logger): void {
  setTimeout(() => {
    log.error({ deadline: DRAIN_DEADLINE_MS }, 'could not drain in time')
    exitProcess(EXIT.failure)
  }, DRAIN_DEADLINE_MS).unref()
}

/** Settles at the first signal, also one that comes during the start. The second one ends the process on the spot. */
function untilSignal (log: Logger): { stopped: Promise<void>, stop (signal: NodeJS.Signals): void } {
  setInterval(() => {}, 2 ** 30) // the process lives until `exit`, whether or not anything else holds it
  let isStopping = false
  let resolve: () => void
  const stopped = new Promise<void>((_resolve) => { resolve = _resolve })
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) exitProcess(EXIT.failure)
    isStopping = true
    log.info({ signal }, 'stopping')
    limitDrain(log)
    resolve()
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  return { stopped, stop }
}

/** What a task has decided; `ERR_OPTION` comes from a node that looked closer at an option than the schema did. */
function exitCodeOf (err: unknown): number {
  const own = (err as { exitCode?: unknown }).exitCode
  if (typeof own === 'number') return own
  return ['ERR_USAGE', 'ERR_OPTION'].includes(codeOf(err) ?? '') ? EXIT.usage : EXIT.failure
}

/** One line for what is foreseen; the stack for a defect. */
function complain (program: string, err: unknown): void {
  const exitCode = exitCodeOf(err)
  const foreseen = err instanceof Error && codeOf(err) !== undefined
  const text = foreseen ? err.message.replaceAll(/\s*\n\s*/g, ' ') : err instanceof Error ? err.stack : String(err)
  process.stderr.write(`${foreseen && exitCode !== EXIT.usage ? `${program}: ` : ''}${text}\n`)
  process.exitCode = exitCode
}

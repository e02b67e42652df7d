/**
 * The lifecycle of a process: start, run until a signal, drain, exit with a documented code. SIGHUP reloads the settings where the
 * program can.
 */
import { setFlagsFromString } from 'node:v8'
import type { Logger } from 'pino'
import { codeOf, reason } from '../reason.ts'
import { oneLine } from '../../text/printable.ts'
import { exitProcess, threadsDone } from './exit.ts'

export const EXIT = { clean: 0, failure: 1, usage: 2, absent: 3 } as const

/** Milliseconds to drain. A process ends within 5 s of a signal; the rest is for the exit itself. */
const DRAIN_DEADLINE_MS = 4500

/** A running program or service. */
export interface Running {
  /** Drains and stops. */
  stop (): Promise<void>
  /** Rejects when it cannot continue; the error may bring its own `exitCode`. */
  readonly failed?: Promise<never>
  /** Reloads the settings on SIGHUP. Never rejects: errors are logged. */
  reload? (): Promise<void>
}

/** A program to start, with verified settings. */
export interface Plan {
  log: Logger
  /** Log a failed start as a JSON line on stderr as well. */
  json: boolean
  start (): Promise<Running>
}

/** A command that runs once and has an exit code. */
export interface Task {
  task (): Promise<void>
}

/**
 * Parses, starts, waits for a signal, stops, exits. Without anything to start (`--help`) the exit code is 0.
 *
 * @param program - prefix of the error message when the start fails
 */
export async function run (program: string, parse: () => Plan | Task | undefined): Promise<void> {
  // stdout and stderr may be closed (`| head`), or the disk may be full: that must not end a tunnel
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

/** Handles SIGHUP from the first moment on: a reload during the start must not end the process. */
class SighupHandler {
  #isWaiting = false
  #take: (() => void) | undefined
  readonly #onSignal = (): void => {
    if (this.#take === undefined) this.#isWaiting = true
    else this.#take()
  }

  constructor () { process.on('SIGHUP', this.#onSignal) }

  /** Sets the handler, and calls it for a signal that has already come. */
  handle (take: () => void): void {
    this.#take = take
    if (this.#isWaiting) take()
    this.#isWaiting = false
  }

  /** Restores the default action, also for a signal that has already come. */
  remove (): void {
    process.off('SIGHUP', this.#onSignal)
    if (this.#isWaiting) process.kill(process.pid, 'SIGHUP')
  }
}

/**
 * Code that was not run for a while stays compiled: V8 would drop it after some collections of garbage, and the first packet after a quiet
 * hour would wait until it is compiled again.
 */
const keepCode = (): void => { setFlagsFromString('--no-flush-bytecode') }

async function live (program: string, { log, json, start }: Plan, sighup: SighupHandler): Promise<void> {
  keepCode()
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
  const exitCode = await Promise.race([signal, running.failed ?? signal]).then(() => EXIT.clean, (err) => {
    logFatal(log, err)
    limitDrain(log)
    return ownExitCode(err) ?? EXIT.failure
  })
  try {
    await running.stop() // also after a failure: the services that still work drain
  } catch (err) {
    logFatal(log, err)
    exitProcess(EXIT.failure)
  }
  log.info({}, 'stopped')
  await threadsDone()
  exitProcess(exitCode)
}

function logFatal (log: Logger, err: unknown): void {
  log.fatal(codeOf(err) === undefined ? { err } : { code: codeOf(err) }, reason(err))
}

/** Sets the deadline for the process to end by itself. */
function limitDrain (log: Logger): void {
  setTimeout(() => {
    log.error({ deadline: DRAIN_DEADLINE_MS }, 'could not drain in time')
    exitProcess(EXIT.failure)
  }, DRAIN_DEADLINE_MS).unref()
}

/** Settles at the first signal, also one during the start. A second one ends the process at once. */
function untilSignal (log: Logger): { stopped: Promise<void>, stop (signal: NodeJS.Signals): void } {
  setInterval(() => {}, 2 ** 30) // keeps the process alive until `exit`
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

/** The exit code that an error brings with it. */
function ownExitCode (err: unknown): number | undefined {
  const own = (err as { exitCode?: unknown }).exitCode
  return typeof own === 'number' ? own : undefined
}

/** The exit code of an error: that of a failed task, or by its `code`; `ERR_OPTION` is from a node, whose checks are stricter than the schema. */
function exitCodeOf (err: unknown): number {
  const own = ownExitCode(err)
  if (own !== undefined) return own
  return ['ERR_USAGE', 'ERR_OPTION'].includes(codeOf(err) ?? '') ? EXIT.usage : EXIT.failure
}

/** Prints one line for an expected error, and the stack for a bug. */
function complain (program: string, err: unknown): void {
  const exitCode = exitCodeOf(err)
  const foreseen = err instanceof Error && codeOf(err) !== undefined
  const text = foreseen ? oneLine(err.message) : err instanceof Error ? err.stack : String(err)
  process.stderr.write(`${foreseen && exitCode !== EXIT.usage ? `${program}: ` : ''}${text}\n`)
  process.exitCode = exitCode
}

/** Joins a terminal and a shell until either ends. */
import type { ShellConnection } from './connection.ts'
import { EscapeFilter, ESCAPES } from './escapes.ts'
import type { LocalTerminal } from './terminal.ts'
import { LinkClosedError } from '../../../errors.ts'
import { AsyncQueue } from '../../../streams/async-queue.ts'
import { every, systemClock, type Interval } from '../../../streams/clock.ts'
import { codeOf } from '../../reason.ts'

/** Bytes of input that wait for the shell; beyond it no more is read. */
const INPUT_QUEUE = 256 * 1024

/** Signals that end this process. */
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const

/** VEOF of termios(3), and milliseconds until it is sent again: it ends one read of the terminal, where the end of a pipe ends all. */
const END_OF_INPUT = Uint8Array.of(4)
const END_INTERVAL = 200

const NEWLINE = Buffer.from('\n')

/** How it has ended: with an exit code, or by a signal to this process. */
export type Ending = { readonly code: number } | { readonly signal: NodeJS.Signals }

/** @throws the error that broke the connection, or an error of the system when output cannot be written */
export async function attach (shell: ShellConnection, terminal: LocalTerminal): Promise<Ending> {
  let leave: (ending: Ending) => void = () => {}
  const left = new Promise<Ending>((resolve) => { leave = resolve })
  const onSignal = (signal: NodeJS.Signals): void => { leave({ signal }) }
  const tellSize = (): void => {
    const { size } = terminal
    if (size !== undefined) shell.resize(size.rows, size.cols)
  }
  const stopTelling = terminal.onResize(tellSize)
  const stopReading = readInput(shell, terminal, () => { leave({ code: 0 }) })
  for (const signal of SIGNALS) process.on(signal, onSignal)
  try {
    tellSize()
    terminal.enterRawMode()
    return await Promise.race([left, writeOutput(shell, terminal)])
  } finally {
    terminal.leaveRawMode()
    for (const signal of SIGNALS) process.off(signal, onSignal)
    stopReading()
    stopTelling()
    shell.link.abort(new LinkClosedError('the terminal was detached'))
  }
}

/** Whoever reads our output may have enough of it. */
async function writeOutput ({ link, exited }: ShellConnection, terminal: LocalTerminal): Promise<Ending> {
  for await (const batch of link.source) {
    try {
      await terminal.write(Buffer.concat(batch))
    } catch (err) {
      if (codeOf(err) === 'EPIPE') return { code: 0 }
      throw err
    }
  }
  const { code, signal } = await exited
  return { code: code ?? (signal === undefined ? 0 : 128 + signal) }
}

/** Sends what is typed, or comes from a pipe. @returns a function that stops it */
function readInput ({ link }: ShellConnection, terminal: LocalTerminal, onLeave: () => void): () => void {
  const { input } = terminal
  const escapes = terminal.isInteractive ? new EscapeFilter() : undefined
  const queue = new AsyncQueue({ weigh: ({ length }) => length, onPull: () => { input.resume() } })
  let last: number | undefined
  let ending: Interval | undefined
  const send = (bytes: Uint8Array): void => {
    if (bytes.length > 0) queue.push(bytes)
    if (queue.size > INPUT_QUEUE) input.pause()
  }
  const onData = (read: Buffer): void => {
    if (escapes === undefined) {
      last = read.at(-1)
      send(read)
      return
    }
    const { bytes, wantsHelp, hasLeft } = escapes.push(read)
    send(bytes)
    if (wantsHelp) for (const line of ESCAPES) terminal.say(line)
    if (hasLeft) onLeave()
  }
  const onEnd = (): void => {
    if (terminal.isInteractive) return onLeave() // it has gone
    if (last !== undefined && last !== NEWLINE[0]) queue.push(NEWLINE) // a terminal gives its programs whole lines
    const end = (): void => { if (queue.size === 0) queue.push(END_OF_INPUT) }
    ending = every(systemClock, END_INTERVAL, end)
    end()
  }
  input.on('data', onData).once('end', onEnd).once('error', onEnd)
  link.sink(queue).catch(() => {}) // the output tells what has become of the shell
  return () => {
    ending?.stop()
    input.off('data', onData).off('end', onEnd).off('error', onEnd)
    input.on('error', () => {}).destroy()
    queue.end()
  }
}

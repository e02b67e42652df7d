/** `relay capture` and `peer capture`: write the traffic of a running program to a file. */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Command } from 'commander'
import { openCaptureFile } from '../../transforms/capture/index.ts'
import { wholeNumber } from '../../nodes/common/options/checks.ts'
import { givenFlags, withOptions } from '../command.ts'
import { keysOf } from '../config/keys.ts'
import type { Values } from '../config/settings.ts'
import { codeOf, explained } from '../reason.ts'
import { UsageError } from '../usage-error.ts'
import { openRequest, ControlError, type ControlResponse } from './client.ts'
import { controlTarget, controlCommand, type ControlCommandInit } from './commands.ts'
import { bytes } from './text.ts'

/** A smaller file has no room for a single packet. */
const MIN_BYTES = 4096

export function captureCommand (init: ControlCommandInit): Command {
  const { program, protocols } = init
  const captures = protocols.flatMap(({ capture }) => capture ?? [])
  const command = controlCommand(init, 'capture', `Writes what the ${program} of this machine carries to a pcapng file, until Ctrl-C.`, `\nExamples:${captures.map(({ examples }) => examples).join('')}`)
    .option('--write <file>', 'a new file for its owner only, or - for stdout')
    .option('--overwrite', 'replace a file that is there')
    .option('--max-bytes <bytes>', `end it when the file has as many, ${MIN_BYTES} at least (default: 64 MiB)`)
  for (const { options } of captures) withOptions(command, options)
  return command.action(() => {
    const flags = givenFlags(command)
    const { write } = flags
    if (typeof write !== 'string' || write === '') throw new UsageError('--write: missing, expected a file, or - for stdout')
    init.run({ task: () => capture(flags, write, init) })
  })
}

async function capture (flags: Values, write: string, init: ControlCommandInit): Promise<void> {
  const maxBytes = flags['max-bytes'] === undefined ? undefined : wholeBytes(flags['max-bytes'])
  const filters = init.protocols.flatMap(({ capture }) => capture === undefined ? [] : keysOf(capture.options)).map(({ name }) => [name, flags[name]])
  const response = await openRequest(controlTarget(flags, init), { command: 'capture', protocol: flags.protocol, maxBytes, ...Object.fromEntries(filters) })
  const out = await openOutput(write, flags.overwrite === true).catch((err) => {
    response.socket.destroy()
    throw err
  })
  const copied = copy(response, out) // from here on Ctrl-C ends only the capture
  if (write !== '-') process.stderr.write(`capturing to ${write}, until Ctrl-C\n`)
  const { length, isWhole, isEnough } = await copied.catch((err) => {
    if (write === '-' && codeOf(err) === 'EPIPE') return { length: 0, isWhole: true, isEnough: true } // the reader has closed the pipe
    throw explained(err, `cannot write ${write}`)
  })
  if (write !== '-') process.stderr.write(`wrote ${bytes(length)} to ${write}${isWhole && !isEnough ? ', which is as large as it may be' : ''}\n`)
  if (!isWhole) throw new ControlError(`the ${init.program} has stopped, or has died, in the middle of the capture`)
}

/** Writes the capture until a signal, and then the rest of it. @throws the error of the output */
async function copy ({ socket, rest }: ControlResponse, out: Writable): Promise<{ length: number, isWhole: boolean, isEnough: boolean }> {
  let isEnough = false
  const stop = (): void => {
    if (isEnough) process.exit(1)
    isEnough = true
    socket.end() // the program sends the rest of the capture, so that the file is complete
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  const written = finished(out, { readable: false })
  written.catch((err) => { socket.destroy(err) })
  let length = 0
  let tail = Buffer.alloc(0)
  const put = async (chunk: Buffer): Promise<void> => {
    length += chunk.length
    tail = Buffer.concat([tail, chunk]).subarray(-MAX_LAST_BLOCK)
    if (!out.write(chunk)) await Promise.race([once(out, 'drain'), written])
  }
  try {
    await put(rest)
    for await (const chunk of socket) await put(chunk)
  } catch (err) {
    if (out.errored !== null) throw out.errored
    if (codeOf(err) !== 'ECONNRESET') throw err
  }
  if (out !== process.stdout) {
    out.end()
    await written
  }
  return { length, isWhole: endsWithStatistics(tail), isEnough }
}

const MAX_LAST_BLOCK = 1024
const INTERFACE_STATISTICS = 5

/** Whether the capture ends with interface statistics, which a complete one does. */
function endsWithStatistics (tail: Buffer): boolean {
  if (tail.length < 12) return false
  const size = tail.readUInt32LE(tail.length - 4)
  return size >= 12 && size <= tail.length && tail.readUInt32LE(tail.length - size) === INTERFACE_STATISTICS
}

function wholeBytes (text: unknown): number {
  const result = wholeNumber(MIN_BYTES, 999_999_999).safeParse(text)
  if (result.success) return result.data
  throw new UsageError(`--max-bytes: ${result.error.issues[0].message}`)
}

async function openOutput (file: string, overwrite: boolean): Promise<Writable> {
  if (file === '-') return process.stdout
  try {
    return await openCaptureFile(file, overwrite)
  } catch (err) {
    if (codeOf(err) === 'EEXIST') throw new UsageError(`--write: ${file} is there already, expected a new file (or --overwrite)`)
    throw explained(err, `cannot write ${file}`)
  }
}

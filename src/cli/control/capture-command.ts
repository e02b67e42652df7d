/** `relay capture` and `peer capture`: what a running program carries, into a file. */
import { createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { once } from 'node:events'
import { createCommand, givenFlags } from '../command.ts'
import { wholeNumber } from '../config/fields.ts'
import type { Values } from '../config/settings.ts'
import type { Command } from 'commander'
import type { Task } from '../process/lifecycle.ts'
import { codeOf, explained } from '../reason.ts'
import { UsageError } from '../usage-error.ts'
import { ask } from './client.ts'
import { controlPath, withControlOptions, type ProgramName } from './commands.ts'
import { bytes } from './text.ts'

const EXAMPLES = {
  relay: `
Examples:
  relay capture --peer 10.77.0.2 --write laptop.pcapng
  relay capture --network /alice/home --write - | wireshark -k -i -`,
  peer: `
Examples:
  sudo peer capture --write here.pcapng
  sudo peer capture --name home --write - | tshark -r -`
}

export function captureCommand (program: ProgramName, run: (task: Task) => void): Command {
  const command = withControlOptions(createCommand('capture', `Writes what the ${program} of this machine carries to a pcapng file, until Ctrl-C.`), program)
    .option('--write <file>', 'a new file for its owner only, or - for stdout')
    .option('--overwrite', 'replace a file that is there')
    .option('--max-bytes <bytes>', 'end it when the file has as many (default: 64 MiB)')
    .addHelpText('after', EXAMPLES[program])
  if (program === 'relay') {
    command
      .option('--network <path>', 'the network with this path (default: the only one)')
      .option('--peer <address>', 'all that the client with this address sends and gets (default: what all clients send)')
  }
  return command.action(() => {
    const flags = givenFlags(command)
    const { write } = flags
    if (typeof write !== 'string' || write === '') throw new UsageError('--write: missing, expected a file, or - for stdout')
    run({ task: () => capture(flags, write, program) })
  })
}

async function capture (flags: Values, write: string, program: ProgramName): Promise<void> {
  const maxBytes = flags['max-bytes'] === undefined ? undefined : wholeBytes(flags['max-bytes'])
  const { network, peer } = flags
  const { socket, rest } = await ask(controlPath(flags, program), { command: 'capture', network, peer, maxBytes })
  let enough = false
  const stop = (): void => {
    if (enough) process.exit(1)
    enough = true
    socket.end() // the rest of the capture comes still, and the file is whole
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  const out = await openOutput(write, flags.overwrite === true).catch((err) => {
    socket.destroy()
    throw err
  })
  if (write !== '-') process.stderr.write(`capturing to ${write}, until Ctrl-C\n`)
  let length = 0
  const put = async (chunk: Uint8Array): Promise<void> => {
    length += chunk.length
    if (!out.write(chunk)) await once(out, 'drain')
  }
  try {
    await put(rest)
    for await (const chunk of socket) await put(chunk)
    if (write !== '-') {
      out.end()
      await finished(out)
    }
  } catch (err) {
    socket.destroy()
    if (codeOf(err) === 'EPIPE') return // whoever read it has had enough
    throw explained(err, `cannot write ${write}`)
  }
  const why = enough ? '' : `; the capture has its size, or the ${program} has stopped`
  if (write !== '-') process.stderr.write(`wrote ${bytes(length)} to ${write}${why}\n`)
}

function wholeBytes (text: unknown): number {
  const result = wholeNumber(1, 999_999_999).safeParse(text)
  if (result.success) return result.data
  throw new UsageError(`--max-bytes: ${result.error.issues[0].message}`)
}

async function openOutput (file: string, overwrite: boolean): Promise<Writable> {
  if (file === '-') return process.stdout
  try {
    const handle = await open(file, overwrite ? 'w' : 'wx', 0o600)
    return createWriteStream('', { fd: handle })
  } catch (err) {
    if (codeOf(err) === 'EEXIST') throw new UsageError(`--write: ${file} is there already, expected a new file (or --overwrite)`)
    throw explained(err, `cannot write ${file}`)
  }
}

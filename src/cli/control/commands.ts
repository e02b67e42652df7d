/** Commands to a program that runs: `status`, `reload`. */
import type { Command } from 'commander'
import { peerText, relayText } from '../candy/status-text.ts'
import { createCommand, givenFlags } from '../command.ts'
import { readConfigFile } from '../config/config-file.ts'
import type { Values } from '../config/settings.ts'
import type { Task } from '../process/lifecycle.ts'
import { UsageError } from '../usage-error.ts'
import { askOnce } from './client.ts'
import { defaultControlPath } from './path.ts'
import { counted, duration } from './text.ts'

export type ProgramName = 'relay' | 'peer'

/** Where the program listens that is meant. */
export function controlPath ({ control, name, config }: Values, program: ProgramName): string {
  if (typeof control === 'string') return control
  const configured = typeof config === 'string' ? readConfigFile(config, program).values.control : undefined
  const path = typeof configured === 'string' ? configured : defaultControlPath(typeof name === 'string' ? `${program}-${name}` : program)
  if (path === undefined || path === 'none') throw new UsageError('--control: missing, expected the path of a control socket')
  return path
}

export function withControlOptions (command: Command, program: ProgramName): Command {
  command
    .option('--control <path>', `the control socket of the ${program} (default: the customary one)`)
    .option('--config <file>', 'ask the one that this file names with its key control')
    .option('--json', 'print JSON')
  return program === 'relay' ? command : command.option('--name <name>', 'ask the peer of this name')
}

export function statusCommand (program: ProgramName, run: (task: Task) => void): Command {
  const command = withControlOptions(createCommand('status', `What the ${program} of this machine is doing.`), program)
  return command.action(() => {
    const flags = givenFlags(command)
    run({
      async task () {
        const status = await askOnce(controlPath(flags, program), { command: 'status' })
        say(flags, status, () => statusText(program, status))
      }
    })
  })
}

export function reloadCommand (run: (task: Task) => void): Command {
  const command = withControlOptions(createCommand('reload', 'Has the relay read its settings and certificates again. Peers whose settings are the same stay.'), 'relay')
  return command.action(() => {
    const flags = givenFlags(command)
    run({
      async task () {
        const changes = await askOnce(controlPath(flags, 'relay'), { command: 'reload' })
        say(flags, changes, () => reloadText(changes))
      }
    })
  })
}

function say ({ json }: Values, value: object, text: () => string): void {
  process.stdout.write(`${json === true ? JSON.stringify(value) : text()}\n`)
}

function statusText (program: ProgramName, { version, pid, uptime, health, services }: Record<string, any>): string {
  const parts = (services as any[]).map(program === 'relay' ? relayText : peerText)
  return [`${program} ${version}, process ${pid}, up ${duration(uptime)}, ${health}`, ...parts].join('\n')
}

function reloadText ({ added = [], removed = [], ended = 0, restart = [], warnings = [] }: Record<string, any>): string {
  const named = (paths: string[]): string => paths.map((path) => path === '' ? 'the one without a path' : path).join(', ')
  return [
    `reloaded: ${counted(ended, 'connection')} ended`,
    ...(added.length === 0 ? [] : [`networks added: ${named(added)}`]),
    ...(removed.length === 0 ? [] : [`networks removed: ${named(removed)}`]),
    ...(restart.length === 0 ? [] : [`from the next start on: ${restart.join(', ')}`]),
    ...warnings.map((warning: string) => `warning: ${warning}`)
  ].join('\n')
}

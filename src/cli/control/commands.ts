/** Commands to a program that runs: `status`, `reload`. */
import type { Command } from 'commander'
import { peerText, relayText } from '../candy/status-text.ts'
import { createCommand, givenFlags } from '../command.ts'
import { readConfigFile } from '../config/config-file.ts'
import { isSection, type Values } from '../config/settings.ts'
import type { Task } from '../process/lifecycle.ts'
import { UsageError } from '../usage-error.ts'
import { askOnce, type Asking } from './client.ts'
import { defaultControlPath } from './path.ts'
import { counted, duration } from './text.ts'

export type ProgramName = 'relay' | 'peer'

/** A reload may wait for a name server, or for a password from a pipe. */
const RELOAD_PATIENCE_MS = 60_000

/** Whom a command asks: the flags, else the file that they name, else the customary place. */
export function askingOf ({ control, name, config }: Values, program: ProgramName): Asking {
  const file = typeof config === 'string' ? readConfigFile(config, program).values : {}
  const called = name ?? (isSection(file.candy) ? file.candy.name : undefined)
  const path = control ?? file.control ?? defaultControlPath(typeof called === 'string' ? `${program}-${called}` : program)
  if (typeof path !== 'string' || path === '' || path === 'none') throw new UsageError('--control: missing, expected the path of a control socket')
  return { path, program }
}

/** The options of every command that asks. */
export function controlCommand (program: ProgramName, name: string, description: string, examples: string): Command {
  const command = createCommand(name, description)
    .option('--control <path>', `the control socket of the ${program} (default: the customary one)`)
    .option('--config <file>', 'ask the one that runs with this file')
    .addHelpText('after', examples)
  return program === 'relay' ? command : command.option('--name <name>', 'ask the peer of this name')
}

const STATUS_EXAMPLES = {
  relay: `
Examples:
  relay status
  relay status --json | jq '.services[0].networks[].members[] | {address, source, rateIn}'`,
  peer: `
Examples:
  sudo peer status
  sudo peer status --name home --json`
}

export function statusCommand (program: ProgramName, run: (task: Task) => void): Command {
  const command = controlCommand(program, 'status', `What the ${program} of this machine is doing.`, STATUS_EXAMPLES[program]).option('--json', 'print JSON')
  return command.action(() => {
    const flags = givenFlags(command)
    run({
      async task () {
        const status = await askOnce(askingOf(flags, program), { command: 'status' })
        say(flags, status, () => statusText(program, status))
      }
    })
  })
}

const RELOAD_EXAMPLES = `
Examples:
  relay reload
  relay reload --config /etc/tunpipe/relay.yaml

SIGHUP does the same, and tells in the log what has come of it.`

export function reloadCommand (run: (task: Task) => void): Command {
  const command = controlCommand('relay', 'reload', 'Has the relay read its settings and certificates again. Peers whose settings are the same stay.', RELOAD_EXAMPLES).option('--json', 'print JSON')
  return command.action(() => {
    const flags = givenFlags(command)
    run({
      async task () {
        const changes = await askOnce({ ...askingOf(flags, 'relay'), patience: RELOAD_PATIENCE_MS }, { command: 'reload' })
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

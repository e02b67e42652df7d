/** Commands for a running program: `status`, `reload`. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { createCommand, givenFlags } from '../command.ts'
import { readConfigFile } from '../config/config-file.ts'
import { listOf, quoted } from '../../text/phrases.ts'
import type { Values } from '../config/settings.ts'
import { EXIT, type Task } from '../process/lifecycle.ts'
import type { Protocol } from '../protocol.ts'
import { UsageError } from '../usage-error.ts'
import { sendRequest, ControlError, type ControlTarget } from './client.ts'
import { controlName, defaultControlPath, otherControlPaths } from './path.ts'
import { duration } from './text.ts'

/** The arguments of all commands that use the control socket. */
export interface ControlCommandInit {
  program: 'relay' | 'peer'
  protocols: readonly Protocol[]
  run (task: Task): void
}

/** Milliseconds. A reload may wait for a name server, or for a password from a pipe. */
const RELOAD_TIMEOUT_MS = 60_000

/** The process that a command asks: by the flags, else by the file that they name, else by the default path, else the only one that runs. */
export function controlTarget ({ control, name, config, protocol }: Values, { program, protocols }: Pick<ControlCommandInit, 'program' | 'protocols'>): ControlTarget {
  const names = protocols.map(({ name }) => name)
  if (protocol !== undefined && !names.includes(String(protocol))) throw new UsageError(`--protocol: not a protocol (${quoted(protocol)}), expected ${listOf(names)}`)
  const file = typeof config === 'string' ? readConfigFile(config, protocols, protocol as string | undefined).values : {}
  const expected = typeof config === 'string' ? resolve(config) : undefined
  const named = control ?? file.control
  if (named !== undefined) {
    if (typeof named !== 'string' || named === '' || named === 'none') throw new UsageError('--control: missing, expected the path of a control socket')
    return { path: named, program, config: expected }
  }
  const called = typeof name === 'string' ? `${program}-${name}` : controlName({ program, protocols, sections: file, protocol: protocol as string | undefined })
  const path = defaultControlPath(called)
  if (path === undefined) throw new UsageError('--control: missing, expected the path of a control socket')
  return { path, program, others: otherControlPaths(path, program), anyOther: name === undefined && config === undefined, config: expected }
}

/** A command with the options that all commands of the control socket have. */
export function controlCommand ({ program }: ControlCommandInit, name: string, description: string, examples: string): Command {
  const command = createCommand(name, description)
    .option('--control <path>', `the control socket of the ${program} (default: the customary one, or the only one there is)`)
    .option('--config <file>', 'ask the one that runs with this file, and no other')
    .option('--protocol <name>', 'ask the one that runs this protocol, and about it alone')
    .addHelpText('after', examples)
  return program === 'relay' ? command : command.option('--name <name>', 'ask the peer of this name')
}

const STATUS_EXAMPLES = {
  relay: `
Examples:
  relay status
  relay status --check || echo 'not well'`,
  peer: `
Examples:
  sudo peer status
  sudo peer status --name home --json
  sudo peer status --check || echo 'offline'`
}

export function statusCommand (init: ControlCommandInit): Command {
  const { program, protocols, run } = init
  const command = controlCommand(init, 'status', `What the ${program} of this machine is doing.`, [STATUS_EXAMPLES[program], ...protocols.flatMap(({ statusExample }) => statusExample === undefined ? [] : `  ${statusExample}`)].join('\n'))
    .option('--json', 'print JSON')
    .option('--check', 'print whether it is well, and exit with 0: ok; 1: not, or not at all; 2: bad usage; 3: no such process')
  return command.action(() => {
    const flags = givenFlags(command)
    run({
      async task () {
        try {
          const status = await sendRequest(controlTarget(flags, init), { command: 'status', protocol: flags.protocol })
          say(flags, status, () => flags.check === true ? headline(program, status) : statusText(program, protocols, status))
          if (flags.check === true && status.health !== 'ok') process.exitCode = EXIT.failure
        } catch (err) {
          if (flags.check === true && err instanceof ControlError && err.isAbsent) throw Object.assign(err, { exitCode: EXIT.absent })
          throw err
        }
      }
    })
  })
}

const reloadExamples = (program: string): string => `
Examples:
  ${program} reload
  ${program} reload --config /etc/tunpipe/${program}.yaml

SIGHUP does the same, and tells in the log what has come of it.`

const RELOAD_DESCRIPTIONS = {
  relay: 'Has the relay read its settings and certificates again. Peers whose settings are the same stay.',
  peer: 'Has the peer read its settings and lists again, as far as its protocols can.'
}

export function reloadCommand (init: ControlCommandInit): Command {
  const command = controlCommand(init, 'reload', RELOAD_DESCRIPTIONS[init.program], reloadExamples(init.program)).option('--json', 'print JSON')
  return command.action(() => {
    const flags = givenFlags(command)
    init.run({
      async task () {
        const target = { ...controlTarget(flags, init), timeout: RELOAD_TIMEOUT_MS }
        const changes = await sendRequest(target, { command: 'reload', protocol: flags.protocol })
        say(flags, changes, () => reloadText(init.protocols, changes))
      }
    })
  })
}

export function say ({ json }: Values, value: object, text: () => string): void {
  process.stdout.write(`${json === true ? JSON.stringify(value) : text()}\n`)
}

/** Undefined for a protocol that this version does not know, as the process may have another version. */
export const find = (protocols: readonly Protocol[], name: string): Protocol | undefined => protocols.find((protocol) => protocol.name === name)

function headline (program: string, { version, pid, uptime, health }: Record<string, any>): string {
  return `${program} ${version}, process ${pid}, up ${duration(uptime)}, ${health}`
}

function statusText (program: string, protocols: readonly Protocol[], status: Record<string, any>): string {
  const parts = status.services.map((service: { protocol: string }) => find(protocols, service.protocol)?.statusText(service) ?? service.protocol)
  return [headline(program, status), ...parts].join('\n')
}

function reloadText (protocols: readonly Protocol[], { services = [], restart = [], warnings = [] }: Record<string, any>): string {
  const texts = services.map((service: { protocol: string }) => {
    const text = find(protocols, service.protocol)?.reloadText?.(service)
    return `reloaded ${service.protocol}${text === undefined ? '' : `: ${text}`}`
  })
  return [
    ...(texts.length === 0 ? ['reloaded'] : texts),
    ...(restart.length === 0 ? [] : [`from the next start on: ${restart.join(', ')}`]),
    ...warnings.map((warning: string) => `warning: ${warning}`)
  ].join('\n')
}

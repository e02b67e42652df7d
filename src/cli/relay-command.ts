/** The command line of `relay`. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { createCommand, flagsOf, parse, protocolCommand, rejectArguments, withSharedOptions, withSubcommands, withVersion } from './command.ts'
import { DEFAULT_CONFIG, initConfig } from './config/init-config.ts'
import { resolveProgram } from './config/load.ts'
import type { Flags } from './config/settings.ts'
import { captureCommand } from './control/capture-command.ts'
import { explainCommand } from './control/explain-command.ts'
import { reloadCommand, statusCommand } from './control/commands.ts'
import type { Plan, Task } from './process/lifecycle.ts'
import { planProgram } from './process/plan.ts'
import type { Protocol } from './protocol.ts'
import { RELAY_PROTOCOLS } from './protocols.ts'
import { listOf } from '../text/phrases.ts'

const examplesOf = (protocols: readonly Protocol[]): string => `
Examples:
  relay
      the first time: writes ./${DEFAULT_CONFIG} with a password of its own and shows how to join;
      then: runs what is in it
  relay --config /etc/tunpipe/relay.yaml --metrics 9100
${protocols.map(({ examples: { program } }) => `  ${program}`).join('\n')}

  relay status
  relay reload

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.`

/**
 * Parses the command line.
 *
 * @returns undefined when there is nothing to run: help or the version has been printed
 * @throws {UsageError} for the first error in it
 */
export function parseRelay (argv: readonly string[], protocols = RELAY_PROTOCOLS): Plan | Task | undefined {
  let what: Plan | Task | undefined
  const relay = createRelayCommand((flags) => { what = planRelay(flags, protocols) }, (task) => { what = task }, protocols)
  return parse(relay, argv) ? what : undefined
}

export function createRelayCommand (run: (flags: Flags) => void, ask: (task: Task) => void, protocols = RELAY_PROTOCOLS): Command {
  const threaded = protocols.filter(({ maxWorkers = 1 }) => maxWorkers > 1).map(({ name }) => name)
  const relay = withVersion(withSharedOptions(
    createCommand('relay', 'The public side of tunnels: clients connect here and reach each other.'),
    `run what has a section in this file (default: ./${DEFAULT_CONFIG}, written at the first start)`
  ))
  relay
    .option('--workers <count>', `threads that carry packets, one for each processor to be used; only ${listOf(threaded)} can have several (default: 1)`)
    .usage(`[options]\n       relay ${protocols.map(({ name }) => name).join('|')} [options]\n       relay status|explain|capture|reload [options]`)
    .allowExcessArguments()
    .addHelpText('after', examplesOf(protocols))
    .action(() => {
      rejectArguments(relay)
      run(flagsOf(relay))
    })
  for (const protocol of protocols) relay.addCommand(withSubcommands(protocolCommand(protocol, run), protocol, { protocols, run, ask }))
  const init = { program: 'relay', protocols, run: ask } as const
  return relay.addCommand(statusCommand(init)).addCommand(explainCommand(init)).addCommand(captureCommand(init)).addCommand(reloadCommand(init))
}

function planRelay (flags: Flags, protocols: readonly Protocol[]): Plan {
  const init = { program: 'relay', protocols } as const
  if (flags.config !== undefined || flags.protocol !== undefined) return planProgram({ ...init, flags })
  const greet = existsSync(DEFAULT_CONFIG) ? undefined : firstRelay(flags, protocols)
  return planProgram({ ...init, flags: { ...flags, config: DEFAULT_CONFIG }, greet })
}

function firstRelay ({ source }: Flags, protocols: readonly Protocol[]): ReturnType<typeof initConfig> {
  resolveProgram(protocols, 'relay', [source]) // before the password is generated and printed, as a wrong flag would lose it
  return initConfig(protocols)
}

/** The command line of `relay`. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { DEFAULT_CONFIG, initConfig } from './candy/init-config.ts'
import { createCommand, flagsOf, parse, protocolCommand, rejectArguments, withSharedOptions, withVersion, type Flags } from './command.ts'
import { programSchema } from './config/schema.ts'
import { resolveSettings } from './config/settings.ts'
import { captureCommand } from './control/capture-command.ts'
import { reloadCommand, statusCommand } from './control/commands.ts'
import type { Plan, Task } from './process/lifecycle.ts'
import { planProgram } from './process/plan.ts'
import type { Protocol } from './protocol.ts'
import { RELAY_PROTOCOLS } from './protocols.ts'

const EXAMPLES = `
Examples:
  relay
      the first time: writes ./${DEFAULT_CONFIG} with a password of its own and shows how to join;
      then: runs what is in it
  relay --config /etc/tunpipe/relay.yaml --metrics 9100
  relay candy --listen ws://0.0.0.0:8080 --password-file candy.password --dhcp 10.77.0.0/24
  relay gotunnel --listen 0.0.0.0:17000 --token-file gotunnel.token

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
  const relay = withVersion(withSharedOptions(
    createCommand('relay', 'The public side of tunnels: clients connect here and reach each other.'),
    `run what has a section in this file (default: ./${DEFAULT_CONFIG}, written at the first start)`
  ))
  relay
    .option('--workers <count>', 'threads that carry packets, one for each processor to be used; only candy can have several (default: 1)')
    .usage(`[options]\n       relay ${protocols.map(({ name }) => name).join('|')} [options]\n       relay status|capture|reload [options]`)
    .allowExcessArguments()
    .addHelpText('after', EXAMPLES)
    .action(() => {
      rejectArguments(relay)
      run(flagsOf(relay))
    })
  for (const protocol of protocols) relay.addCommand(protocolCommand(protocol, run))
  const init = { program: 'relay', protocols, run: ask } as const
  return relay.addCommand(statusCommand(init)).addCommand(captureCommand(init)).addCommand(reloadCommand(init))
}

function planRelay (flags: Flags, protocols: readonly Protocol[]): Plan {
  if (flags.config !== undefined || flags.protocol !== undefined) return planProgram({ program: 'relay', protocols, flags })
  const greet = existsSync(DEFAULT_CONFIG) ? undefined : firstRelay(flags, protocols)
  return planProgram({ program: 'relay', protocols, flags: { ...flags, config: DEFAULT_CONFIG }, greet })
}

function firstRelay ({ source }: Flags, protocols: readonly Protocol[]): ReturnType<typeof initConfig> {
  resolveSettings(programSchema(protocols), [source]) // before the password is generated and printed, as a wrong flag would lose it
  return initConfig()
}

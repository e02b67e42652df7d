/** The command line of `peer`. */
import type { Command } from 'commander'
import { createCommand, flagsOf, parse, protocolCommand, rejectArguments, withSharedOptions, withSubcommands, withVersion } from './command.ts'
import { listOf } from '../text/phrases.ts'
import type { Flags } from './config/settings.ts'
import { captureCommand } from './control/capture-command.ts'
import { explainCommand } from './control/explain-command.ts'
import { reloadCommand, statusCommand } from './control/commands.ts'
import type { Plan, Task } from './process/lifecycle.ts'
import { planProgram } from './process/plan.ts'
import type { Protocol } from './protocol.ts'
import { PEER_PROTOCOLS } from './protocols.ts'
import { UsageError } from './usage-error.ts'

const examplesOf = (protocols: readonly Protocol[]): string => `
Examples:
${protocols.map(({ examples: { program } }) => `  ${program}`).join('\n')}
  sudo peer --config peer.yaml

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.`

/**
 * Parses the command line.
 *
 * @returns undefined when there is nothing to run: help or the version has been printed
 * @throws {UsageError} for the first error in it
 */
export function parsePeer (argv: readonly string[], protocols = PEER_PROTOCOLS): Plan | Task | undefined {
  let what: Plan | Task | undefined
  const peer = createPeerCommand((flags) => { what = planProgram({ program: 'peer', protocols, flags }) }, (task) => { what = task }, protocols)
  return parse(peer, argv) ? what : undefined
}

export function createPeerCommand (run: (flags: Flags) => void, ask: (task: Task) => void, protocols = PEER_PROTOCOLS): Command {
  const names = protocols.map(({ name }) => name)
  const peer = withVersion(withSharedOptions(
    createCommand('peer', 'The side behind NAT: connects to a relay, and is reached through it.'),
    'run what has a section in this file'
  ))
  peer
    .usage(`--config <file> [options]\n       peer ${names.join('|')} [options]\n       peer status|explain|capture|reload [options]`)
    .allowExcessArguments()
    .addHelpText('after', examplesOf(protocols))
    .action(() => {
      rejectArguments(peer)
      const flags = flagsOf(peer)
      if (flags.config === undefined) throw new UsageError(`missing command, expected ${listOf(names)} (or --config FILE); see --help`)
      run(flags)
    })
  const init = { program: 'peer', protocols, run: ask } as const
  for (const protocol of protocols) peer.addCommand(withSubcommands(protocolCommand(protocol, run), protocol, { protocols, run, ask }))
  return peer.addCommand(statusCommand(init)).addCommand(explainCommand(init)).addCommand(captureCommand(init)).addCommand(reloadCommand(init))
}

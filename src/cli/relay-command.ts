/** The command line of `relay`. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { createCommand, flagsOf, parse, refuseArguments, withPassword, withSharedOptions, withVersion, type Flags } from './command.ts'
import { createConfig, DEFAULT_CONFIG } from './candy/first-start.ts'
import { joinCommands } from './candy/join-commands.ts'
import type { Plan } from './process/lifecycle.ts'
import { load } from './config/load.ts'
import type { Output } from './process/output.ts'
import { planCandy } from './process/plan.ts'
import { newPassword } from './config/new-password.ts'
import { relaySchema } from './config/schema.ts'
import { explained } from './reason.ts'
import { settle } from './config/settings.ts'

const EXAMPLES = `
Examples:
  relay
      the first time: writes ./${DEFAULT_CONFIG} with a password of its own and shows how to join;
      then: runs what is in it
  relay --config /etc/tunpipe/relay.yaml --metrics 9100
  relay candy --listen ws://0.0.0.0:8080 --password-file candy.password --dhcp 10.77.0.0/24

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.`

const CANDY_EXAMPLES = `
Examples:
  relay candy --listen ws://0.0.0.0:8080 --password-file candy.password --dhcp 10.77.0.0/24
  TUNPIPE_PASSWORD=... relay candy --listen wss://0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem
  relay candy --listen ws://127.0.0.1:0 --password test --json

Clients: this package's peer, and candy -m client -w ws://HOST:8080 -p PASSWORD.
Each option is also a key of relay.yaml, below "candy"; --config names such a file, options win over it.`

/**
 * Throws `UsageError` for whatever the user got wrong.
 *
 * @returns undefined when there is nothing to run: help or the version was asked for, and printed
 */
export function parseRelay (argv: readonly string[]): Plan | undefined {
  let plan: Plan | undefined
  const relay = createRelayCommand((flags) => { plan = planRelay(flags) })
  return parse(relay, argv) ? plan : undefined
}

export function createRelayCommand (run: (flags: Flags) => void): Command {
  const relay = withVersion(withSharedOptions(
    createCommand('relay', 'The public side of tunnels: clients connect here and reach each other.'),
    `run what this file enables (default: ./${DEFAULT_CONFIG}, written at the first start)`
  ))
  relay
    .usage('[options]\n       relay candy [options]')
    .allowExcessArguments()
    .addHelpText('after', EXAMPLES)
    .action(() => {
      refuseArguments(relay)
      run(flagsOf(relay))
    })

  const candy = createCommand('candy', 'A server for candy clients: a virtual IPv4 network over WebSocket.')
    .option('--listen <url>', 'ws://HOST:PORT or wss://HOST:PORT; port 0 takes a free one')
  withPassword(candy)
    .option('--dhcp <cidr>', 'give addresses out of this range, /8 to /30 (default: none)')
    .option('--sdwan <rules>', 'routes to push, dev-cidr,dst-cidr,nexthop;... (default: none)')
    .option('--source-check <mode>', 'which sources a client may send from: strict, routes or off (default: routes)')
    .option('--takeover <who>', 'who may take an address that is in use: any, the newest wins, or same-device (default: any)')
    .option('--lenient', 'take clients whose clock is wrong')
    .option('--tls-cert <file>', 'certificate chain for wss://, PEM')
    .option('--tls-key <file>', 'its key, PEM')
  withSharedOptions(candy, 'a file with a section "candy"; options win over it')
    .addHelpText('after', CANDY_EXAMPLES)
    .action(() => { run(flagsOf(candy, 'candy')) })
  return relay.addCommand(candy)
}

function planRelay (flags: Flags): Plan {
  const created = flags.config === undefined && flags.layer.values.candy === undefined && !existsSync(DEFAULT_CONFIG) && firstConfig(flags)
  const config = flags.config ?? (flags.layer.values.candy === undefined ? DEFAULT_CONFIG : undefined)
  const loaded = load(relaySchema, { ...flags, config })
  const greet = (out: Output): void => {
    const shown = process.env.TUNPIPE_PASSWORD === loaded.password ? undefined : loaded.password
    out.say(`Wrote ${DEFAULT_CONFIG} with a new configuration.\n\n${joinCommands({ listen: loaded.candy.listen, password: shown })}`)
    out.event('created', { config: DEFAULT_CONFIG })
  }
  return planCandy(loaded, async (parts) => {
    const { startCandyRelay } = await import('./candy/relay.ts')
    return await startCandyRelay(parts)
  }, created ? greet : undefined)
}

/** Writes the configuration of a first start. A password that comes from the environment is not stored. */
function firstConfig (flags: Flags): boolean {
  settle(relaySchema, [flags.layer]) // the password is shown this once: not in a start that fails for a wrong flag
  try {
    return createConfig(DEFAULT_CONFIG, process.env.TUNPIPE_PASSWORD ? undefined : newPassword())
  } catch (err) {
    throw explained(err, `cannot write ${DEFAULT_CONFIG}, and no --config and no command was given`)
  }
}

/** The command line of `relay`. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { createCommand, flagsOf, parse, refuseArguments, withPassword, withSharedOptions, withVersion, type Flags } from './command.ts'
import { createConfig, DEFAULT_CONFIG } from './candy/first-start.ts'
import { joinCommands } from './candy/join-commands.ts'
import { captureCommand } from './control/capture-command.ts'
import { reloadCommand, statusCommand } from './control/commands.ts'
import type { Plan, Task } from './process/lifecycle.ts'
import { loadRelay, type LoadedRelay } from './candy/load.ts'
import type { Output } from './process/output.ts'
import { planProgram } from './process/plan.ts'
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

  relay status
  relay reload

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.`

const CANDY_EXAMPLES = `
Examples:
  relay candy --listen ws://0.0.0.0:8080 --password-file candy.password --dhcp 10.77.0.0/24
  TUNPIPE_PASSWORD=... relay candy --listen wss://0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem
  relay candy --listen ws://127.0.0.1:8080 --trusted-proxy 127.0.0.1 --password-file candy.password
      behind nginx or Caddy on the same machine
  relay --config /etc/candy.cfg
      the settings of the original server, as they are

Clients: this package's peer, and candy -m client -w ws://HOST:8080 -p PASSWORD.
Each option is also a key of relay.yaml, below "candy"; --config names such a file, options win over it.`

/**
 * Throws `UsageError` for whatever the user got wrong.
 *
 * @returns undefined when there is nothing to run: help or the version was asked for, and printed
 */
export function parseRelay (argv: readonly string[]): Plan | Task | undefined {
  let what: Plan | Task | undefined
  const relay = createRelayCommand((flags) => { what = planRelay(flags) }, (task) => { what = task })
  return parse(relay, argv) ? what : undefined
}

export function createRelayCommand (run: (flags: Flags) => void, ask: (task: Task) => void): Command {
  const relay = withVersion(withSharedOptions(
    createCommand('relay', 'The public side of tunnels: clients connect here and reach each other.'),
    `run what this file enables (default: ./${DEFAULT_CONFIG}, written at the first start)`
  ))
  relay
    .usage('[options]\n       relay candy [options]\n       relay status|capture|reload [options]')
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
    .option('--broadcast <on|off>', 'pass on what a client sends to all (default: on)')
    .option('--isolate', 'clients reach only the gateways of their routes, not each other')
    .option('--path <path>', 'only clients whose URL has this path (default: every path); several networks: see the file')
    .option('--lenient', 'take clients whose clock is wrong')
    .option('--max-peers <count>', 'clients of a network at one time (default: no limit but that of connections)')
    .option('--packet-rate <count>', 'packets that one client may send in a second (default: no limit)')
    .option('--byte-rate <bytes>', 'bytes that one client may send in a second (default: no limit)')
    .option('--max-per-source <count>', 'connections from one address; an IPv6 /64 is one (default: 256)')
    .option('--max-half-open <count>', 'connections that have not authenticated; the oldest makes room (default: 16384)')
    .option('--max-connections <count>', 'connections in all (default: 65536)')
    .option('--auth-failures <count>', 'wrong passwords from one address in a minute (default: 120)')
    .option('--trusted-proxy <cidrs>', 'believe what these proxies say about where a client is: X-Forwarded-For, PROXY protocol')
    .option('--tls-cert <file>', 'certificate chain for wss://, PEM')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--state-dir <dir>', 'remembers which device has which address (default: /var/lib/tunpipe for root)')
  withSharedOptions(candy, 'a file with a section "candy"; options win over it')
    .addHelpText('after', CANDY_EXAMPLES)
    .action(() => { run(flagsOf(candy, 'candy')) })
  return relay.addCommand(candy).addCommand(statusCommand('relay', ask)).addCommand(captureCommand('relay', ask)).addCommand(reloadCommand(ask))
}

function planRelay (flags: Flags): Plan {
  const created = flags.config === undefined && flags.layer.values.candy === undefined && !existsSync(DEFAULT_CONFIG) && firstConfig(flags)
  const config = flags.config ?? (flags.layer.values.candy === undefined ? DEFAULT_CONFIG : undefined)
  const read = (): LoadedRelay => loadRelay({ ...flags, config })
  const loaded = read()
  const greet = (out: Output): void => {
    const [password] = loaded.secrets
    const shown = process.env.TUNPIPE_PASSWORD === password ? undefined : password
    out.say(`Wrote ${DEFAULT_CONFIG} with a new configuration.\n\n${joinCommands({ listen: loaded.candy.listen, password: shown })}`)
    out.event('created', { config: DEFAULT_CONFIG })
  }
  return planProgram({
    program: 'relay',
    loaded,
    read,
    async start (parts) {
      const { startCandyRelay } = await import('./candy/relay.ts')
      return await startCandyRelay(parts)
    },
    greet: created ? greet : undefined
  })
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

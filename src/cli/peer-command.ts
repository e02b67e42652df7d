/** The command line of `peer`. */
import type { Command } from 'commander'
import { foreignPeerOptions } from './candy/schema.ts'
import { createCommand, flagsOf, parse, refuseArguments, withPassword, withSharedOptions, withVersion, type Flags } from './command.ts'
import { captureCommand } from './control/capture-command.ts'
import { statusCommand } from './control/commands.ts'
import type { Plan, Task } from './process/lifecycle.ts'
import { loadPeer } from './candy/load.ts'
import { planProgram } from './process/plan.ts'
import { UsageError } from './usage-error.ts'

const EXAMPLES = `
Examples:
  sudo peer candy --url ws://203.0.113.7:8080/ --password-file candy.password
  sudo peer --config peer.yaml

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.`

const CANDY_EXAMPLES = `
Examples:
  sudo peer candy --url ws://203.0.113.7:8080/ --password-file candy.password
      the server gives an address; the same one again at the next start
  sudo peer candy --url wss://vpn.example.org/ --password-file candy.password --address 10.77.0.2/24 --tun vpn0
  peer candy --url ws://127.0.0.1:8080/ --password test --tun none
      joins without an interface (and without root): a test of the connection

Servers: this package's relay, the original candy, cacao.
Each option is also a key of peer.yaml, below "candy"; --config names such a file, options win over it.`

/**
 * Throws `UsageError` for whatever the user got wrong.
 *
 * @returns undefined when there is nothing to run: help or the version was asked for, and printed
 */
export function parsePeer (argv: readonly string[]): Plan | Task | undefined {
  let what: Plan | Task | undefined
  const peer = createPeerCommand((flags) => { what = planPeer(flags) }, (task) => { what = task })
  return parse(peer, argv) ? what : undefined
}

export function createPeerCommand (run: (flags: Flags) => void, ask: (task: Task) => void): Command {
  const peer = withVersion(withSharedOptions(
    createCommand('peer', 'The side behind NAT: connects to a relay and joins its network.'),
    'run what this file enables'
  ))
  peer
    .usage('--config <file> [options]\n       peer candy [options]\n       peer status|capture [options]')
    .allowExcessArguments()
    .addHelpText('after', EXAMPLES)
    .action(() => {
      refuseArguments(peer)
      const flags = flagsOf(peer)
      if (flags.config === undefined) throw new UsageError('missing command, expected candy (or --config FILE); see --help')
      run(flags)
    })

  const candy = createCommand('candy', 'A client of candy servers: an interface in a virtual IPv4 network over WebSocket.', foreignPeerOptions)
    .option('--url <url>', 'ws://HOST:PORT/ or wss://HOST:PORT/; some servers choose the network by the path')
  withPassword(candy)
    .option('--address <cidr>', 'address and network such as 10.77.0.2/24 (default: the server gives one)')
    .option('--tun <name>', 'name of the interface, or none for no interface (default: candy, or candy-NAME)')
    .option('--name <name>', 'tells peers on one machine apart: each has its own state and interface')
    .option('--mtu <bytes>', 'of the interface, 576 to 1450 (default: 1400)')
    .option('--routes <which>', 'routes of the server to take: private, all, none, or networks such as 10.1.0.0/16,10.2.0.0/16 (default: private)')
    .option('--ca <file>', 'trust these certificates for wss://, PEM (default: those of the system)')
    .option('--insecure', 'take any certificate')
    .option('--state-dir <dir>', 'remembers device and address (default: /var/lib/tunpipe for root)')
  withSharedOptions(candy, 'a file with a section "candy"; options win over it')
    .addHelpText('after', CANDY_EXAMPLES)
    .action(() => { run(flagsOf(candy, 'candy')) })
  return peer.addCommand(candy).addCommand(statusCommand('peer', ask)).addCommand(captureCommand('peer', ask))
}

function planPeer (flags: Flags): Plan {
  const loaded = loadPeer(flags)
  const { name } = loaded.candy
  return planProgram({
    program: 'peer',
    name: name === undefined ? 'peer' : `peer-${name}`,
    loaded,
    async start (parts) {
      const { startCandyPeer } = await import('./candy/peer.ts')
      return await startCandyPeer(parts)
    }
  })
}

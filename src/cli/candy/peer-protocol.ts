/** The candy protocol in `peer`: a client of candy servers. */
import type { Command } from 'commander'
import { createCommand } from '../command.ts'
import type { Protocol } from '../protocol.ts'
import { loadPeer, type LoadedPeer } from './load.ts'
import { withPassword } from './password-options.ts'
import { candyPeerSection, unsupportedPeerOptions, type CandyPeerSettings } from './schema.ts'
import { peerText } from './status-text.ts'
import { tunAsAddress } from './tun-as-address.ts'

const EXAMPLES = `
Examples:
  sudo peer candy --url ws://203.0.113.7:8080/ --password-file candy.password
      the server gives an address; the same one again at the next start
  sudo peer candy --url wss://vpn.example.org/ --password-file candy.password --address 10.77.0.2/24 --tun vpn0
  peer candy --url ws://127.0.0.1:8080/ --password test --tun none
      joins without an interface (and without root): a test of the connection

Servers: this package's relay, the original candy, cacao.
Each option is also a key of peer.yaml, below "candy"; --config names such a file, options win over it.`

export const candyPeer: Protocol<CandyPeerSettings, LoadedPeer> = {
  name: 'candy',
  section: candyPeerSection,
  secret: { key: 'password', variable: 'TUNPIPE_PASSWORD' },
  instanceKey: 'name',
  prepare: tunAsAddress,
  load: loadPeer,
  async start (context) {
    const { startCandyPeer } = await import('./peer.ts')
    return await startCandyPeer(context)
  },
  statusText: peerText,
  command
}

function command (): Command {
  const candy = createCommand('candy', 'A client of candy servers: an interface in a virtual IPv4 network over WebSocket.', unsupportedPeerOptions)
    .option('--url <url>', 'ws://HOST:PORT/ or wss://HOST:PORT/; some servers choose the network by the path')
  return withPassword(candy)
    .option('--address <cidr>', 'address and network such as 10.77.0.2/24 (default: the server gives one)')
    .option('--tun <name>', 'name of the interface, or none for no interface (default: candy, or candy-NAME, shortened by a hash when that is too long)')
    .option('--name <name>', 'tells peers on one machine apart: each has its own state and interface')
    .option('--mtu <bytes>', 'of the interface, 576 to 1450 (default: 1400)')
    .option('--offload <on|off>', 'let the system hand over, and take, many packets at once (default: on)')
    .option('--routes <which>', 'routes of the server to take: private, all, none, or networks such as 10.1.0.0/16,10.2.0.0/16; what this machine uses itself only when it is named (default: private)')
    .option('--ca <file>', 'trust these certificates for wss://, PEM (default: those of the system)')
    .option('--insecure', 'take any certificate')
    .option('--state-dir <dir>', 'remembers device and address (default: /var/lib/tunpipe for root)')
    .addHelpText('after', EXAMPLES)
}

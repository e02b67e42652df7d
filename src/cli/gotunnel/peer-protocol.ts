/** The gotunnel protocol in `peer`: a client of gotunnel servers. */
import type { Command } from 'commander'
import { createCommand } from '../command.ts'
import type { Protocol } from '../protocol.ts'
import { loadPeer, type LoadedPeer } from './load.ts'
import { gotunnelPeerSection, type GotunnelPeerSettings } from './schema.ts'
import { peerText } from './status-text.ts'
import { VARIABLE } from './token.ts'
import { withToken } from './token-options.ts'

const EXAMPLES = `
Examples:
  peer gotunnel --server 192.0.2.7:17000 --token-file gotunnel.token --map 10022:22
      port 10022 of the server leads to port 22 of this machine
  peer gotunnel --server 192.0.2.7:17000 --token-file gotunnel.token --map 10022:22 --map 15432:db.local:5432 --map 10080:[::1]:80
  peer gotunnel --server tunnel.example.org:17000 --tls --mode strict --token-file gotunnel.token --map 10443:443 --proxy-protocol
  peer gotunnel --server 127.0.0.1:17000 --map 10022:22
      to try it out on one machine, with the token of the original programs

Servers: this package's relay, and the original gotunnel-server.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure (the server refuses every port for good), 2 bad usage or configuration.
Each option is also a key of peer.yaml, below "gotunnel"; --config names such a file, options win over it.`

export const gotunnelPeer: Protocol<GotunnelPeerSettings, LoadedPeer> = {
  name: 'gotunnel',
  section: gotunnelPeerSection,
  secret: { key: 'token', variable: VARIABLE },
  instanceKey: 'name',
  load: loadPeer,
  async start (context) {
    const { startGotunnelPeer } = await import('./peer.ts')
    return await startGotunnelPeer(context)
  },
  statusText: peerText,
  command
}

const collect = (value: string, before: string[] = []): string[] => [...before, value]

function command (): Command {
  const gotunnel = createCommand('gotunnel', 'A client of gotunnel servers: TCP ports of a public machine lead to services here.')
    .option('--server <host:port>', 'the server, such as 192.0.2.7:17000')
  return withToken(gotunnel)
    .option('--map <remote:local>', 'a port of the server, and the local port or HOST:PORT that it leads to; can be repeated', collect)
    .option('--name <name>', 'what the server calls this peer; tells peers on one machine apart (default: the name of the machine)')
    .option('--mode <mode>', 'strict: only servers of tunpipe, compatible: as the original client, or auto: what the server can do (default: auto)')
    .option('--tls', 'speak TLS with the server')
    .option('--ca <file>', 'trust these certificates, PEM (default: those of the system)')
    .option('--insecure', 'take any certificate')
    .option('--proxy-protocol', 'tell services who their user is, by a PROXY header (version 2)')
    .option('--ping-interval <seconds>', 'between signs of life, 1 to 25 (default: 10)')
    .option('--probe-interval <seconds>', 'between looks whether a service is there; 0: never (default: 30)')
    .option('--max-connections <count>', 'connections of users at one time on one port (default: 4096)')
    .option('--buffer-total <bytes>', 'kept for all users while others do not read; beyond it users that stand still are ended (default: 268435456)')
    .addHelpText('after', EXAMPLES)
}

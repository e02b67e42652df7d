/** The gotunnel protocol in `peer`: a client of gotunnel servers. */
import { verifyClientTls } from '../../nodes/common/options/groups.ts'
import { peerOptions } from '../../nodes/gotunnel/peer/options.ts'
import type { Protocol } from '../protocol.ts'
import { finishPeer, type GotunnelPeerSettings } from './settings.ts'
import { peerText } from './status-text.ts'

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

export const gotunnelPeer: Protocol<typeof peerOptions, GotunnelPeerSettings> = {
  name: 'gotunnel',
  description: 'A client of gotunnel servers: TCP ports of a public machine lead to services here.',
  examples: {
    program: 'peer gotunnel --server 203.0.113.7:17000 --token-file gotunnel.token --map 10022:22',
    command: EXAMPLES
  },
  options: peerOptions,
  instanceKey: 'name',
  verify: verifyClientTls,
  finish: finishPeer,
  async start (context) {
    const { startGotunnelPeer } = await import('./peer-service.ts')
    return await startGotunnelPeer(context)
  },
  statusText: peerText as Protocol['statusText']
}

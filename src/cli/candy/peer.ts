/** The candy protocol in `peer`: a client of candy servers. */
import { verifyPeerOptions } from '../../nodes/candy/peer/options.ts'
import type { Protocol } from '../protocol.ts'
import { peerOptions as options } from './options.ts'
import { candyCfg } from './original/cfg.ts'
import { explainText } from './direct-text.ts'
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

export const candyPeer: Protocol<typeof options> = {
  name: 'candy',
  isDefault: true,
  description: 'A client of candy servers: an interface in a virtual IPv4 network over WebSocket.',
  examples: {
    program: 'sudo peer candy --url ws://203.0.113.7:8080/ --password-file candy.password',
    command: EXAMPLES
  },
  options,
  instanceKey: 'name',
  foreign: candyCfg('peer'),
  capture: {
    options: {},
    examples: `
  sudo peer capture --write here.pcapng
  sudo peer capture --name home --write - | tshark -r -`
  },
  prepare: tunAsAddress,
  verify: verifyPeerOptions,
  finish: (settings) => settings,
  async start (context) {
    const { startCandyPeer } = await import('./peer-service.ts')
    return await startCandyPeer(context)
  },
  explainExample: 'sudo peer explain --name home --json 10.77.0.3',
  statusText: peerText as Protocol['statusText'],
  explainText: explainText as unknown as Protocol['explainText']
}

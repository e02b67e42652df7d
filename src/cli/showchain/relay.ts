/** SHOW CHAIN in `relay`: a helper and proxy. */
import type { Protocol } from '../protocol.ts'
import { relayExplainText } from './explain-text.ts'
import { relayOptions } from './options.ts'
import { finishRelay, type ShowchainRelaySettings } from './settings.ts'
import { relayReloadText, relayText } from './status-text.ts'

const EXAMPLES = `
Examples:
  peer showchain keygen --out relay.pem
  relay showchain --listen udp://0.0.0.0:7700 --identity relay.pem
  relay showchain --listen udp://0.0.0.0:7700 --identity relay.pem --bootstrap 198.51.100.9:7700
      the other relay at 198.51.100.9 does the same: with two of them nodes find out the kind of their NAT
  relay showchain --listen udp://0.0.0.0:7700 --identity relay.pem --proxy off
      introduces nodes, and carries no data

Nodes: peer showchain serve, and peer showchain connect, with --bootstrap HOST:7700. Anybody may register.
The address has to be one that everybody reaches, with all its UDP ports.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.
Each option is also a key of relay.yaml, below "showchain"; options win over it.`

export const showchainRelay: Protocol<typeof relayOptions, ShowchainRelaySettings> = {
  name: 'showchain',
  description: 'A helper and proxy of SHOW CHAIN: introduces nodes behind NAT, and carries their data where they find no direct path.',
  examples: {
    program: 'relay showchain --listen udp://0.0.0.0:7700 --identity relay.pem',
    command: EXAMPLES
  },
  options: relayOptions,
  sampleSection: () => ['listen: udp://0.0.0.0:7700', 'identity: relay.pem   # made by: peer showchain keygen --out relay.pem'],
  capture: { options: {}, examples: '\n  relay capture --protocol showchain --write showchain.pcapng' },
  explainExample: 'relay explain --protocol showchain 6b9f...e2',
  verify () {},
  finish: finishRelay,
  async start (context) {
    const { startShowchainRelay } = await import('./relay-service.ts')
    return await startShowchainRelay(context)
  },
  statusText: relayText as Protocol['statusText'],
  explainText: relayExplainText as unknown as Protocol['explainText'],
  reloadText: relayReloadText as Protocol['reloadText']
}

/** The RustDesk protocol in `relay`: a rendezvous server and a relay for RustDesk clients. */
import type { Protocol } from '../protocol.ts'
import { relayOptions, verifyRelayOptions } from './options.ts'
import { finishRelay, type RustdeskRelaySettings } from './settings.ts'
import { relayReloadText, relayText } from './status-text.ts'

const EXAMPLES = `
Examples:
  relay rustdesk
      in the folder of hbbs and hbbr, in place of both: same ports, keys and database
  relay rustdesk --data /var/lib/rustdesk-server --relay-servers relay.example
      with the address of the relay that clients are told
  relay rustdesk --relay-port 0
      the rendezvous server alone, as hbbs; --port 0 is the relay alone, as hbbr
  relay rustdesk --key - --trusted-proxy 127.0.0.1
      the relay asks for the key as well; a proxy on this machine ends TLS of WebSocket

Clients: the original ones, with HOST as the ID server, and the key that is printed at the start.
SINGLE_BANDWIDTH, TOTAL_BANDWIDTH, LIMIT_SPEED, DOWNGRADE_THRESHOLD, DOWNGRADE_START_CHECK, ALWAYS_USE_RELAY, DB_URL, KEY, RELAY_SERVERS, RELAY and ENCRYPTED_ONLY in .env or the environment are as with the originals.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.
Each option is also a key of relay.yaml, below "rustdesk"; options win over it, and it wins over the environment.`

export const rustdeskRelay: Protocol<typeof relayOptions, RustdeskRelaySettings> = {
  name: 'rustdesk',
  description: 'A rendezvous server and a relay for RustDesk clients, in place of hbbs and hbbr.',
  examples: {
    program: 'relay rustdesk --data /var/lib/rustdesk-server',
    command: EXAMPLES
  },
  options: relayOptions,
  verify: verifyRelayOptions,
  finish: finishRelay,
  async start (context) {
    const { startRustdeskRelay } = await import('./relay-service.ts')
    return await startRustdeskRelay(context)
  },
  statusText: relayText as Protocol['statusText'],
  reloadText: relayReloadText as Protocol['reloadText']
}

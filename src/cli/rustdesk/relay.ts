/** The RustDesk protocol in `relay`: a rendezvous server and a relay for RustDesk clients. */
import type { Protocol } from '../protocol.ts'
import { explainText } from './explain-text.ts'
import { joinTask } from './join-task.ts'
import { relayOptions, verifyRelayOptions } from './options.ts'
import { hbbsIni } from './original/config.ts'
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
  relay rustdesk -c hbbs.ini -M 52428800
      with the file and the options of hbbs
  relay rustdesk --key - --trusted-proxy 127.0.0.1
      the relay asks for the key as well; a proxy on this machine ends TLS of WebSocket

Clients: the original ones, with HOST as the ID server, and the key that is printed at the start; "relay rustdesk join HOST" has all they need.
The file of hbbs -c is read as it is, and so are .env in the working folder and the variables of both originals and of their containers.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.
Each option is also a key of relay.yaml, below "rustdesk". An option wins over the file, that over .env, and that over the environment.`

export const rustdeskRelay: Protocol<typeof relayOptions, RustdeskRelaySettings> = {
  name: 'rustdesk',
  description: 'A rendezvous server and a relay for RustDesk clients, in place of hbbs and hbbr.',
  examples: {
    program: 'relay rustdesk --data /var/lib/rustdesk-server',
    command: EXAMPLES
  },
  options: relayOptions,
  foreign: hbbsIni,
  sampleSection: () => ['data: .   # where keys and database are, or are made'],
  verify: verifyRelayOptions,
  finish: finishRelay,
  async start (context) {
    const { startRustdeskRelay } = await import('./relay-service.ts')
    return await startRustdeskRelay(context)
  },
  tasks: [joinTask],
  explainExample: 'relay explain --protocol rustdesk 123456789',
  explainText: explainText as Protocol['explainText'],
  statusText: relayText as Protocol['statusText'],
  reloadText: relayReloadText as Protocol['reloadText']
}

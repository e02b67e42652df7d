/** The gotunnel protocol in `relay`: a server for gotunnel clients. */
import { relayOptions, verifyRelayOptions } from '../../nodes/gotunnel/relay/options.ts'
import type { Protocol } from '../protocol.ts'
import { finishRelay, type GotunnelRelaySettings } from './settings.ts'
import { relayReloadText, relayText } from './status-text.ts'

const EXAMPLES = `
Examples:
  relay gotunnel --listen 0.0.0.0:17000 --token-file gotunnel.token --ports 10000-20000
  TUNPIPE_TOKEN=... relay gotunnel --listen 0.0.0.0:17000 --mode strict --tls-cert fullchain.pem --tls-key privkey.pem
  relay gotunnel --listen 127.0.0.1:17000
      to try it out on one machine, with the token of the original programs

Clients: this package's peer, and the original gotunnel-client with server_addr: HOST:17000 and the token.
Without TLS the token and all that users send can be read on the way.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.
Each option is also a key of relay.yaml, below "gotunnel", and there can be several identities there; options win over it.`

export const gotunnelRelay: Protocol<typeof relayOptions, GotunnelRelaySettings> = {
  name: 'gotunnel',
  description: 'A server for gotunnel clients: TCP ports here lead to services behind NAT.',
  examples: {
    program: 'relay gotunnel --listen 0.0.0.0:17000 --token-file gotunnel.token',
    command: EXAMPLES
  },
  options: relayOptions,
  unsupported: { networks: 'a key of candy, expected identities', password: 'a key of candy, expected token' },
  sampleSection: (token) => ['listen: 0.0.0.0:17000', ...(token === undefined ? [] : [`token: ${token}`]), 'ports: 10000-20000'],
  verify: verifyRelayOptions,
  finish: finishRelay,
  async start (context) {
    const { startGotunnelRelay } = await import('./relay-service.ts')
    return await startGotunnelRelay(context)
  },
  statusText: relayText as Protocol['statusText'],
  reloadText: relayReloadText
}

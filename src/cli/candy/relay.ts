/** The candy protocol in `relay`: a server for candy clients. */
import { text } from '../../nodes/common/options/checks.ts'
import { verifyRelayOptions } from '../../nodes/candy/relay/options.ts'
import { MAX_WORKERS } from '../../nodes/candy/relay/settings.ts'
import { verifyStun } from '../../nodes/stun/options.ts'
import type { Protocol } from '../protocol.ts'
import { firstConfig } from './first-config.ts'
import { relayOptions as options } from './options.ts'
import { candyCfg } from './original/cfg.ts'
import { relayReloadText, relayText } from './status-text.ts'

const EXAMPLES = `
Examples:
  relay candy --listen ws://0.0.0.0:8080 --password-file candy.password --dhcp 10.77.0.0/24
  TUNPIPE_PASSWORD=... relay candy --listen wss://0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem
  relay candy --listen ws://127.0.0.1:8080 --trusted-proxy 127.0.0.1 --password-file candy.password
      behind nginx or Caddy on the same machine
  relay candy --listen ws://0.0.0.0:8080 --password-file candy.password --workers 4
      packets are carried by four threads
  relay candy --listen ws://0.0.0.0:8080 --password-file candy.password --stun-listen 3478
      a STUN server as well, which clients with direct traffic need
  relay --config /etc/candy.cfg
      the settings of the original server, as they are

Clients: this package's peer, and candy -m client -w ws://HOST:8080 -p PASSWORD.
Each option is also a key of relay.yaml, below "candy"; --config names such a file, options win over it.`

const asIs = (expected: string) => text('text', expected, (text) => text)

const capture = {
  options: {
    network: { check: asIs('a path'), value: 'path', defaultText: 'the only one', help: 'the network with this path' },
    peer: { check: asIs('an address'), value: 'address', defaultText: 'what all clients send', help: 'all that the client with this address sends and gets' }
  },
  examples: `
  relay capture --peer 10.77.0.2 --write laptop.pcapng
  relay capture --network /alice/home --write - | wireshark -k -i -`
}

export const candyRelay: Protocol<typeof options> = {
  name: 'candy',
  isDefault: true,
  maxWorkers: MAX_WORKERS,
  description: 'A server for candy clients: a virtual IPv4 network over WebSocket.',
  examples: {
    program: 'relay candy --listen ws://0.0.0.0:8080 --password-file candy.password --dhcp 10.77.0.0/24',
    command: EXAMPLES
  },
  options,
  foreign: candyCfg('relay'),
  firstConfig,
  capture,
  statusExample: "relay status --json | jq '.services[0].networks[].members[] | {address, source, rateIn}'",
  verify (settings, reject) {
    verifyRelayOptions(settings, reject)
    verifyStun({ listen: settings.stunListen, second: settings.stunSecond }, 'stun-listen', (detail) => reject(['stunSecond'], detail))
  },
  finish: (settings) => settings,
  async start (context) {
    const { startCandyRelay } = await import('./relay-service.ts')
    return await startCandyRelay(context)
  },
  statusText: relayText as Protocol['statusText'],
  reloadText: relayReloadText as Protocol['reloadText']
}

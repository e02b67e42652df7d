/** The candy protocol in `relay`: a server for candy clients. */
import type { Command } from 'commander'
import { createCommand } from '../command.ts'
import type { Protocol } from '../protocol.ts'
import { loadRelay, type LoadedRelay } from './load.ts'
import { withPassword } from './password-options.ts'
import { candyRelaySection, type CandyRelaySettings } from './schema.ts'
import { relayReloadText, relayText } from './status-text.ts'

const EXAMPLES = `
Examples:
  relay candy --listen ws://0.0.0.0:8080 --password-file candy.password --dhcp 10.77.0.0/24
  TUNPIPE_PASSWORD=... relay candy --listen wss://0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem
  relay candy --listen ws://127.0.0.1:8080 --trusted-proxy 127.0.0.1 --password-file candy.password
      behind nginx or Caddy on the same machine
  relay candy --listen ws://0.0.0.0:8080 --password-file candy.password --workers 4
      packets are carried by four threads
  relay --config /etc/candy.cfg
      the settings of the original server, as they are

Clients: this package's peer, and candy -m client -w ws://HOST:8080 -p PASSWORD.
Each option is also a key of relay.yaml, below "candy"; --config names such a file, options win over it.`

export const candyRelay: Protocol<CandyRelaySettings, LoadedRelay> = {
  name: 'candy',
  usesWorkers: true,
  section: candyRelaySection,
  secret: { key: 'password', variable: 'TUNPIPE_PASSWORD', fits: ({ networks }) => networks === undefined }, // with several networks each has its own password
  load: loadRelay,
  async start (context) {
    const { startCandyRelay } = await import('./relay.ts')
    return await startCandyRelay(context)
  },
  statusText: relayText,
  reloadText: relayReloadText,
  command
}

function command (): Command {
  const candy = createCommand('candy', 'A server for candy clients: a virtual IPv4 network over WebSocket.')
    .option('--listen <url>', 'ws://HOST:PORT or wss://HOST:PORT; port 0 takes a free one')
  return withPassword(candy)
    .option('--dhcp <cidr>', 'give addresses out of this range, /8 to /30 (default: none)')
    .option('--sdwan <rules>', 'routes to push, dev-cidr,dst-cidr,nexthop;... (default: none)')
    .option('--source-check <mode>', 'which sources a client may send from: strict, routes or off (default: routes)')
    .option('--takeover <who>', 'who may take an address that is in use: any, the newest wins, or same-device (default: any)')
    .option('--broadcast <on|off>', 'pass on what a client sends to all, besides what clients find each other by (default: on)')
    .option('--isolate', 'clients reach only the gateways of their routes, not each other')
    .option('--path <path>', 'only clients whose URL has this path (default: every path); several networks: see the file')
    .option('--lenient', 'take clients whose clock is wrong')
    .option('--max-peers <count>', 'clients of a network at one time (default: no limit but that of connections)')
    .option('--frame-rate <count>', 'frames of any kind that one client may send in a second; one that sends more is read more slowly (default: no limit)')
    .option('--packet-rate <count>', 'packets that one client may send in a second (default: no limit)')
    .option('--byte-rate <bytes>', 'bytes that one client may send in a second (default: no limit)')
    .option('--broadcast-rate <count>', 'copies of messages to all that a network may make in a second, half of them divided by its clients (default: 65536)')
    .option('--max-per-source <count>', 'connections from one address; an IPv6 /64 is one (default: 256)')
    .option('--max-half-open <count>', 'connections that have not authenticated; the oldest makes room (default: 16384)')
    .option('--max-connections <count>', 'connections in all (default: 65536)')
    .option('--auth-failures <count>', 'wrong passwords from one address in a minute (default: 120)')
    .option('--trusted-proxy <cidrs>', 'believe what these proxies say about where a client is: X-Forwarded-For, PROXY protocol')
    .option('--workers <count>', 'threads that carry packets, one for each processor to be used (default: 1)')
    .option('--tls-cert <file>', 'certificate chain for wss://, PEM')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--state-dir <dir>', 'remembers which device has which address (default: /var/lib/tunpipe for root)')
    .addHelpText('after', EXAMPLES)
}

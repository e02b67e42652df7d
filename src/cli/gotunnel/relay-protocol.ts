/** The gotunnel protocol in `relay`: a server for gotunnel clients. */
import type { Command } from 'commander'
import { createCommand } from '../command.ts'
import type { Protocol } from '../protocol.ts'
import { loadRelay, type LoadedRelay } from './load.ts'
import { gotunnelRelaySection, type GotunnelRelaySettings } from './schema.ts'
import { relayReloadText, relayText } from './status-text.ts'
import { VARIABLE } from './token.ts'
import { withToken } from './token-options.ts'

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

export const gotunnelRelay: Protocol<GotunnelRelaySettings, LoadedRelay> = {
  name: 'gotunnel',
  section: gotunnelRelaySection,
  secret: { key: 'token', variable: VARIABLE, fits: ({ identities }) => identities === undefined }, // with several identities each has its own token
  load: loadRelay,
  async start (context) {
    const { startGotunnelRelay } = await import('./relay.ts')
    return await startGotunnelRelay(context)
  },
  statusText: relayText,
  reloadText: relayReloadText,
  command
}

function command (): Command {
  const gotunnel = createCommand('gotunnel', 'A server for gotunnel clients: TCP ports here lead to services behind NAT.')
    .option('--listen <host:port>', 'where clients connect, such as 0.0.0.0:17000; port 0 takes a free one')
  return withToken(gotunnel)
    .option('--ports <list>', 'ports that clients may map, such as 10000-20000,30022 (default: 1024-65535)')
    .option('--max-ports <count>', 'ports at one time (default: 64)')
    .option('--max-users <count>', 'connections of users at one time (default: no limit but 16384 in all)')
    .option('--byte-rate <bytes>', 'bytes a second of all users together, each way (default: no limit)')
    .option('--mode <mode>', 'strict: only clients of tunpipe, compatible: as the original server, or auto: what each client can do (default: auto)')
    .option('--bind <address>', 'address on which mapped ports listen (default: all)')
    .option('--max-users-total <count>', 'connections of users of all identities; half of it is reserved for them in equal shares (default: 16384, or what they may have together)')
    .option('--users-per-source <count>', 'connections of users from one address; an IPv6 /64 is one (default: 1024)')
    .option('--max-waiting <count>', 'users of one port that wait to be served (default: 1024)')
    .option('--buffer-total <bytes>', 'kept for all users while others do not read; beyond it users that stand still are ended (default: 268435456)')
    .option('--max-per-source <count>', 'connections of clients from one address (default: 4096)')
    .option('--max-half-open <count>', 'connections that have not said what they are for; the oldest makes room (default: 16384)')
    .option('--max-connections <count>', 'connections of clients in all (default: 65536)')
    .option('--auth-failures <count>', 'unknown tokens from one address in a minute (default: 120)')
    .option('--trusted-proxy <cidrs>', 'believe what these proxies say about where a client is: PROXY protocol')
    .option('--tls-cert <file>', 'certificate chain, PEM: clients have to speak TLS, which the original ones do not')
    .option('--tls-key <file>', 'its key, PEM')
    .addHelpText('after', EXAMPLES)
}

/** The natpass protocol in `relay`: a server for natpass clients. */
import { text } from '../../nodes/common/options/checks.ts'
import { verifyListenerTls } from '../../nodes/common/options/groups.ts'
import { relayOptions } from '../../nodes/natpass/relay/options.ts'
import type { Protocol } from '../protocol.ts'
import { natpassYaml } from './original/config.ts'
import { finishRelay } from './settings.ts'
import { relayReloadText, relayText } from './status-text.ts'

const EXAMPLES = `
Examples:
  relay natpass --listen 0.0.0.0:6154 --secret-file natpass.secret
  TUNPIPE_SECRET=... relay natpass --listen 0.0.0.0:6154 --tls-cert fullchain.pem --tls-key privkey.pem
  relay natpass --listen 0.0.0.0:6154 --secret-file natpass.secret --rule allow:laptop:any:shell,tcp
      only the client laptop may open something, shells and TCP ports, to any client
  relay natpass --config /etc/natpass/server.yaml
      the settings of the original server, as they are

Clients: the original np-cli with server: HOST:6154 and the secret.
Who knows the secret may open whatever rules and the other end allow. Without TLS all of it can be read on the way.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.
Each option is also a key of relay.yaml, below "natpass"; options win over it.`

const capture = {
  options: {
    client: { check: text('an id', 'the id of a client', (id) => id), value: 'id', defaultText: 'what all clients send', help: 'all that the client with this id sends and gets' }
  },
  examples: `
  relay capture --protocol natpass --client nas --write nas.pcapng`
}

export const natpassRelay: Protocol<typeof relayOptions> = {
  name: 'natpass',
  description: 'A server for natpass clients: shells, desktops and ports of machines behind NAT, over virtual links.',
  examples: {
    program: 'relay natpass --listen 0.0.0.0:6154 --secret-file natpass.secret',
    command: EXAMPLES
  },
  options: relayOptions,
  foreign: natpassYaml('relay'),
  sampleSection: (secret) => ['listen: 0.0.0.0:6154', ...(secret === undefined ? [] : [`secret: ${secret}`])],
  capture,
  verify: verifyListenerTls,
  finish: finishRelay,
  async start (context) {
    const { startNatpassRelay } = await import('./relay-service.ts')
    return await startNatpassRelay(context)
  },
  statusText: relayText as Protocol['statusText'],
  reloadText: relayReloadText as Protocol['reloadText']
}

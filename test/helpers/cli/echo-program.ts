/** `relay` and `peer` with a second protocol beside candy: what a TCP connection says comes back. The first argument is the program. */
import { parsePeer } from '../../../src/cli/peer-command.ts'
import { parseRelay } from '../../../src/cli/relay-command.ts'
import { createCommand } from '../../../src/cli/command.ts'
import { path, secret, section } from '../../../src/cli/config/fields.ts'
import { hostPort } from '../../../src/cli/config/network-fields.ts'
import { readSecret } from '../../../src/cli/config/secret.ts'
import { run } from '../../../src/cli/process/lifecycle.ts'
import type { Loaded, StartContext, Protocol, Service } from '../../../src/cli/protocol.ts'
import { PEER_PROTOCOLS, RELAY_PROTOCOLS } from '../../../src/cli/protocols.ts'
import { explained } from '../../../src/cli/reason.ts'
import { listenTcp } from '../../../src/transports/tcp.ts'
import type { Link, Listener } from '../../../src/types.ts'

interface Settings {
  listen: { host: string, port: number }
  token?: string
  'token-file'?: string
}

interface EchoLoaded extends Loaded {
  listen: Settings['listen']
  token: string
}

const echo: Protocol<Settings, EchoLoaded> = {
  name: 'echo',
  section: section({ listen: hostPort(), token: secret().optional(), 'token-file': path().optional() }),
  secret: { key: 'token', variable: 'TUNPIPE_TOKEN' },
  load ({ settings, nameOf, warn }) {
    const token = readSecret(settings, 'token', nameOf, warn) ?? ''
    return { listen: settings.listen, token, secrets: [token] }
  },
  start,
  statusText: ({ url, connections }) => `echo ${url}: ${connections} connections`,
  command: () => createCommand('echo', 'Says it again.').option('--listen <host:port>').option('--token <text>').option('--token-file <file>')
}

async function start ({ loaded, log, out }: StartContext<EchoLoaded>): Promise<Service<EchoLoaded>> {
  const links = new Set<Link>()
  const serve = async (listener: Listener): Promise<void> => {
    for await (const link of listener) {
      links.add(link)
      link.sink(link.source).catch((err) => { link.abort(err) }).finally(() => { links.delete(link) })
    }
  }
  const open = async ({ listen: { host, port } }: EchoLoaded): Promise<{ listener: Listener, url: string }> => {
    const listener = listenTcp({ host, port })
    const used = await listener.port().catch((err) => { throw explained(err, `cannot listen on ${host}:${port}`) })
    void serve(listener)
    return { listener, url: `tcp://${host}:${used}` }
  }
  let now = await open(loaded)
  let current = loaded
  out.ready('echo', now.url)
  log.info({ length: loaded.token.length }, 'echoes')
  return {
    register () {},
    status: () => ({ url: now.url, connections: links.size }),
    async reload (next) {
      if (JSON.stringify(next.listen) !== JSON.stringify(current.listen)) {
        const before = now.listener
        now = await open(next)
        before.close()
      }
      current = next
      return { moved: now.url, restart: next.token === loaded.token ? [] : ['token'] }
    },
    async stop () {
      now.listener.close()
      for (const link of links) link.abort(new Error('the end'))
    }
  }
}

const [program, ...argv] = process.argv.slice(2)
if (program === 'relay') await run('relay', () => parseRelay(argv, [...RELAY_PROTOCOLS, echo]))
else await run('peer', () => parsePeer(argv, [...PEER_PROTOCOLS, echo]))

/** `relay` and `peer` with a second protocol beside candy: what a TCP connection says comes back. The first argument is the program. */
import { parsePeer } from '../../../src/cli/peer-command.ts'
import { parseRelay } from '../../../src/cli/relay-command.ts'
import { hostPort } from '../../../src/nodes/common/options/addresses.ts'
import { secretOption } from '../../../src/nodes/common/options/groups.ts'
import type { Options, SettingsOf } from '../../../src/nodes/common/options/option.ts'
import { run } from '../../../src/cli/process/lifecycle.ts'
import type { StartContext, Protocol, Service } from '../../../src/cli/protocol.ts'
import { PEER_PROTOCOLS, RELAY_PROTOCOLS } from '../../../src/cli/protocols.ts'
import { explained } from '../../../src/cli/reason.ts'
import { listenTcp } from '../../../src/transports/tcp.ts'
import type { Link, Listener } from '../../../src/types.ts'

const options = {
  listen: { check: hostPort(), isRequired: true, value: 'host:port', help: 'where it listens' },
  token: secretOption({ noun: 'token', variable: 'TUNPIPE_TOKEN', help: 'of no use' })
} as const satisfies Options

type Settings = SettingsOf<typeof options>

const echo: Protocol<typeof options> = {
  name: 'echo',
  description: 'Says it again.',
  examples: { program: 'relay echo --listen 127.0.0.1:7', command: '' },
  options,
  verify () {},
  finish: (settings) => settings,
  start,
  statusText: ({ url, connections }) => `echo ${url}: ${connections} connections`
}

async function start ({ settings, log, out }: StartContext<Settings>): Promise<Service<Settings>> {
  const links = new Set<Link>()
  const serve = async (listener: Listener): Promise<void> => {
    for await (const link of listener) {
      links.add(link)
      link.sink(link.source).catch((err) => { link.abort(err) }).finally(() => { links.delete(link) })
    }
  }
  const open = async ({ listen: { host, port } }: Settings): Promise<{ listener: Listener, url: string }> => {
    const listener = listenTcp({ host, port })
    const used = await listener.port().catch((err) => { throw explained(err, `cannot listen on ${host}:${port}`) })
    void serve(listener)
    return { listener, url: `tcp://${host}:${used}` }
  }
  let now = await open(settings)
  let current = settings
  out.ready('echo', now.url)
  log.info({ length: (settings.token ?? '').length }, 'echoes')
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
      return { moved: now.url, restart: next.token === settings.token ? [] : ['token'] }
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

/** Rules, changes of settings, TLS and taps of a relay. */
import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { ca, cert, key } from '../../../helpers/certificates.ts'
import { handshake, join, NatpassClient, SECRET } from '../../../helpers/natpass/client.ts'
import { answer, data, isType, LINK, openLink, request, UNKNOWN } from '../../../helpers/natpass/messages.ts'
import { serve } from '../../../helpers/natpass/serve.ts'
import { decodeMessage } from '../../../../src/nodes/natpass/protocol/messages.ts'
import { mayMessage, mayOpen } from '../../../../src/nodes/natpass/relay/policy.ts'
import { relayOptions } from '../../../../src/nodes/natpass/relay/options.ts'
import { readOptions } from '../../../../src/nodes/common/options/option.ts'
import { listenTcp } from '../../../../src/transports/tcp.ts'
import { NatpassRelay } from '../../../../src/nodes/natpass/relay/relay.ts'
import { rawFrames } from '../../../../src/nodes/natpass/protocol/frames.ts'
import { overAccepted } from '../../../../src/transports/connection-guard.ts'

const rulesOf = (...rules: string[]) => readOptions(relayOptions, { listen: 'h:1', secret: 'x', rules }).rules

t.test('rules: the first that matches decides, and what none matches is refused', async (t) => {
  t.ok(mayOpen(undefined, 'a', 'b', 'shell'), 'without rules all is allowed')
  t.ok(mayOpen(undefined, 'a', 'b', undefined), 'also a type that is none of ours')
  const rules = rulesOf('deny:a:nas:shell', 'allow:a:any:shell,tcp', 'allow:any:c:any', 'allow:any:any:bench')
  for (const [from, to, type, allowed] of [
    ['a', 'nas', 'shell', false], ['a', 'nas', 'tcp', true], ['a', 'b', 'shell', true], ['a', 'b', 'udp', false], ['a', 'b', undefined, false],
    ['b', 'c', 'vnc', true], ['b', 'c', undefined, false], ['b', 'a', 'shell', false], ['b', 'a', 'bench', true]
  ] as const) t.equal(mayOpen(rules, from, to, type), allowed, `${from} ${to} ${type}`)
  t.ok(mayMessage(rules, 'b', 'a'))
  t.notOk(mayMessage(rulesOf('deny:a:b:shell', 'allow:a:b:shell'), 'a', 'b'))
  t.notOk(mayMessage(rulesOf('allow:a:b:shell'), 'b', 'a'))
})

t.test('rules between clients, and other rules while links are open', async (t) => {
  const { server, port } = await serve(t, { rules: ['allow:a:b:shell'] })
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  await openLink(a, b)
  a.send(request('b', 'tcp', 'tcp'), request('nobody', 'x'), { _type: UNKNOWN, to: 'b' })
  t.match([await a.next(), await a.next()], [{ link_id: 'tcp', crep: { ok: false, msg: 'not allowed to open that to b' } }, { link_id: 'x', crep: { ok: false } }], 'who may not open does not learn who is there')
  b.send(request('a', 'back'), { _type: UNKNOWN, to: 'a' }, data('a', 'on the link'))
  t.match(await b.next(isType('connectRep')), { link_id: 'back', crep: { ok: false } })
  t.match(await a.next(), { _type: 11 })
  await b.settled()
  t.match(server.status(), { refusedLinks: { policy: 3 }, drops: { policy: 1 } })
  t.match(await server.configure({ listen: '127.0.0.1:0', secret: 'another', rules: ['allow:b:a:any'] }), { ended: 1 })
  t.match([await a.next(isType('disconnect')), await b.next(isType('disconnect'))], [{ from: 'server', link_id: LINK }, { from: 'server', link_id: LINK }])
  await openLink(b, a, 'allowed now')
  t.match(server.status(), { clients: 2, endedLinks: { policy: 1 } })
  await t.rejects(server.configure({ listen: '127.0.0.1:0', secret: '' }), { code: 'ERR_OPTION', option: 'secret' })
  await t.rejects(server.configure({ listen: '127.0.0.1:0', secret: 'x', rules: ['allow:b'] }), { code: 'ERR_OPTION', option: 'rules' })
})

t.test('over TLS', async (t) => {
  const { server } = await serve(t, { listen: 'tls://127.0.0.1:0', tls: { cert, key } } as object)
  t.match(server.url, /^tls:\/\/127\.0\.0\.1:\d+$/)
  const socket = connectTls({ port: Number(new URL(server.url).port), host: '127.0.0.1', ca, servername: 'localhost' })
  t.teardown(() => { socket.destroy() })
  await once(socket, 'secureConnect')
  const client = new NatpassClient(socket, 'a')
  client.send(handshake('a'))
  await client.settled()
  t.equal(server.status().clients, 1)
})

t.test('taps see what is forwarded, and no handshake', async (t) => {
  const { server, port } = await serve(t)
  const seen: Record<string, string[]> = { all: [], b: [], c: [] }
  const stops = [undefined, 'b', 'c'].map((client) => server.relay.tap({ client }, (messages, direction) => {
    for (const message of messages) seen[client ?? 'all'].push(`${direction} ${decodeMessage(message)._type}`)
  }))
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  for (const list of Object.values(seen)) list.length = 0 // what clients send to themselves
  a.send(request('b'))
  await b.next()
  b.send(answer('a'))
  await a.next()
  t.same(seen, { all: ['in 3', 'in 4'], b: ['out 3', 'in 4'], c: [] })
  for (const stop of stops) stop()
  a.send(data('b', 'x'))
  await b.next()
  t.equal(seen.all.length, 2)
})

t.test('a relay of links, without a server', async (t) => {
  const relay = new NatpassRelay({ secret: SECRET })
  const listener = listenTcp({ port: 0, host: '127.0.0.1' })
  const port = await listener.port()
  const accepting = (async () => { for await (const link of listener) void relay.accept(overAccepted(link, rawFrames)) })()
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  await openLink(a, b)
  t.match(relay.status(), { clients: 2, links: { shell: 1 } })
  listener.close()
  await accepting
  await relay.close()
  await Promise.all([a.closed, b.closed])
  t.match(relay.stats, { clients: 0, refused: { removed: 2 } })
})

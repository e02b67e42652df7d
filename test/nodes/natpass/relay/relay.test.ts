/** What a relay does between clients (natpass protocol, section 3). */
import t, { type Test } from 'tap'
import { dial, handshake, join, SECRET, type NatpassClient } from '../../../helpers/natpass/client.ts'
import { MessageType } from '../../../../src/nodes/natpass/protocol/message-types.ts'
import { frameOf, type MessageInit } from '../../../../src/nodes/natpass/protocol/messages.ts'
import type { NatpassRelayInit } from '../../../../src/nodes/natpass/relay/settings.ts'
import { serveNatpass, type NatpassServer } from '../../../../src/nodes/natpass/relay/server.ts'

async function serve (t: Test, init: Partial<NatpassRelayInit> = {}): Promise<{ server: NatpassServer, port: number }> {
  const server = await serveNatpass({ listen: '127.0.0.1:0', secret: SECRET, ...init })
  t.teardown(() => server.close())
  return { server, port: Number(new URL(server.url).port) }
}

const SHELL = 2

const request = (to: string, link: string, type = SHELL): MessageInit => ({ _type: MessageType.connectReq, to, link_id: link, creq: { name: 'rule', _type: type, cshell: { exec: 'sh' } } })
const accept = (to: string, link: string): MessageInit => ({ _type: MessageType.connectRep, to, link_id: link, crep: { ok: true } })
const data = (to: string, link: string, text: string): MessageInit => ({ _type: MessageType.shellData, to, link_id: link, sdata: { data: Buffer.from(text) } })
const ended = (to: string, link: string): MessageInit => ({ _type: MessageType.disconnect, to, link_id: link })
const isType = (type: number) => ({ _type }: { _type: number }) => _type === type
const textOf = (client: NatpassClient): string => client.inbox.filter(isType(MessageType.shellData)).map(({ sdata }) => Buffer.from(sdata?.data ?? []).toString()).join('')

async function linked (t: Test, a: NatpassClient, b: NatpassClient, link: string): Promise<void> {
  a.send(request(b.id, link))
  t.match(await b.next(isType(MessageType.connectReq)), { from: a.id, to: b.id, link_id: link, creq: { name: 'rule' } })
  b.send(accept(a.id, link))
  t.match(await a.next(isType(MessageType.connectRep)), { from: b.id, link_id: link, crep: { ok: true } })
}

t.test('a link from one client to another, and its end', async (t) => {
  const { server, port } = await serve(t)
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  await linked(t, a, b, '0123456789abcdef')
  t.match(server.status(), { clients: 2, opened: 1, links: { shell: 1 }, members: [{ id: 'a', links: 1 }, { id: 'b', links: 1 }] })
  for (let i = 0; i < 100; i++) a.send(data('b', '0123456789abcdef', `${i},`))
  b.send(data('a', '0123456789abcdef', 'back'))
  await Promise.all([a.settled(), b.settled()])
  await b.settled()
  t.equal(textOf(b), Array.from({ length: 100 }, (_, i) => `${i},`).join(''))
  t.equal(textOf(a), 'back')
  b.send(ended('a', '0123456789abcdef'), data('a', '0123456789abcdef', 'late'))
  t.match(await a.next(isType(MessageType.disconnect)), { from: 'b', link_id: '0123456789abcdef' })
  await b.settled()
  t.match(server.status(), { links: { shell: 0 }, drops: { unknown_link: 1 } })
})

t.test('a sender is who it is, whatever it says', async (t) => {
  const { port } = await serve(t)
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  await linked(t, a, b, 'link')
  a.send({ ...data('b', 'link', 'forged'), from: 'evil' })
  t.match(await b.next(isType(MessageType.shellData)), { from: 'a', to: 'b', link_id: 'link', sdata: { data: Buffer.from('forged') } })
})

t.test('wrong secrets end without a word', async (t) => {
  const { server, port } = await serve(t)
  for (const enc of [Buffer.alloc(0), Buffer.alloc(63), Buffer.alloc(64)]) {
    const client = await dial(t, port, 'a')
    client.send(handshake('a', { enc }))
    t.equal((await client.closed).length, 0)
  }
  t.match(server.status(), { clients: 0, refused: { secret: 3 } })
})

t.test('the clients of a connection that has ended are told once', async (t) => {
  const { port } = await serve(t)
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  await linked(t, a, b, 'link')
  a.socket.destroy()
  t.match(await b.next(isType(MessageType.disconnect)), { from: 'server', to: 'b', link_id: 'link' })
  await b.settled()
  t.same(b.inbox, [])
  t.ok(frameOf({}).length === 6)
})

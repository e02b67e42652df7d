/** What a relay does between clients (natpass protocol, section 3; cases 7 to 18 and 34 of section 8). */
import t from 'tap'
import { dial, handshake, join } from '../../../helpers/natpass/client.ts'
import { ManualClock } from '../../../helpers/clock.ts'
import { answer, contentOf, data, ended, isType, LINK, openLink, request, UNKNOWN } from '../../../helpers/natpass/messages.ts'
import { serve } from '../../../helpers/natpass/serve.ts'
import { vector } from '../../../helpers/natpass/vectors.ts'
import { toHex } from '../../../helpers/bytes.ts'
import { frameOfPayload } from '../../../../src/nodes/natpass/protocol/frames.ts'
import { frameOf } from '../../../../src/nodes/natpass/protocol/messages.ts'

t.test('a link from one client to another, and its end', async (t) => {
  const { server, port } = await serve(t)
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  a.send(request('b'))
  t.match(await b.next(isType('connectReq')), { from: 'a', to: 'b', link_id: LINK, creq: { name: 'rule', cshell: { exec: 'sh' } } })
  b.send(answer('a'))
  t.match(await a.next(isType('connectRep')), { from: 'b', link_id: LINK, crep: { ok: true } })
  t.match(server.status(), { clients: 2, opened: 1, links: { shell: 1 }, members: [{ id: 'a', links: 1 }, { id: 'b', links: 1 }] })
  for (let i = 0; i < 100; i++) a.send(data('b', `${i},`))
  b.send(data('a', 'back'))
  await a.settled()
  await b.settled()
  await a.settled()
  t.equal(b.inbox.map(contentOf).join(''), Array.from({ length: 100 }, (_, i) => `${i},`).join(''))
  t.equal(a.inbox.map(contentOf).join(''), 'back')
  b.send(ended('a'), data('a', 'late'), ended('a'))
  t.match(await a.next(isType('disconnect')), { from: 'b', link_id: LINK })
  a.send(ended('b'))
  await a.settled()
  await b.settled()
  t.match(server.status(), { links: { shell: 0 }, drops: { unknown_link: 3 } }, 'two disconnects for one link are ignored')
  t.same(a.inbox.map(contentOf), ['back'], 'nothing after it')
})

t.test('a sender is who it is, whatever it says; what the relay does not know is passed on', async (t) => {
  const { port } = await serve(t)
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  await openLink(a, b)
  a.send({ ...data('b', 'forged'), from: 'evil' })
  t.match(await b.next(isType('shellData')), { from: 'a', to: 'b', link_id: LINK, sdata: { data: Buffer.from('forged') } })
  const real = await join(t, port, 'real')
  await openLink(real, b, 'l')
  real.send(vector('unknown_type_and_field_in'))
  await real.settled()
  b.socket.destroy()
  t.ok(toHex(await b.closed).includes(toHex(vector('unknown_type_and_field_relayed'))), 'an unknown type with an unknown field, byte for byte')
})

t.test('messages that belong to no link go to the client that they name', async (t) => {
  const { server, port } = await serve(t)
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  a.send({ _type: UNKNOWN, to: 'b', _data: { data: Buffer.from('x') } }, { _type: UNKNOWN, to: 'c' }, { _type: 2, to: 'b' }, { _type: 1, to: 'b', hsp: { enc: Buffer.alloc(64) } })
  t.match(await b.next(), { from: 'a', _type: UNKNOWN })
  await a.settled()
  await b.settled()
  t.same(b.inbox, [], 'neither a keep-alive nor a handshake')
  t.match(server.status(), { drops: { unknown_client: 1, handshake: 1 } })
})

t.test('nobody else injects, ends or takes over a link', async (t) => {
  const { server, port } = await serve(t)
  const [a, b, evil] = [await join(t, port, 'a'), await join(t, port, 'b'), await join(t, port, 'evil')]
  await openLink(a, b)
  evil.send(data('b', 'injected'), ended('b'), ended('a'), request('b'), request('a'), { ...data('a', 'as b'), from: 'b' })
  for (let i = 0; i < 2; i++) t.match(await evil.next(isType('connectRep')), { from: 'server', link_id: LINK, crep: { ok: false } })
  a.send(data('evil', 'to another'))
  await Promise.all([evil.settled(), a.settled()])
  await b.settled()
  t.same([a.inbox, b.inbox, evil.inbox], [[], [], []])
  t.match(server.status(), { drops: { not_owner: 5 }, refusedLinks: { link_id: 2 } })
  a.send(data('b', 'still there'))
  t.equal(contentOf(await b.next()), 'still there')
})

t.test('a request that is repeated while it is not answered is passed on again; then it is refused', async (t) => {
  const { server, port } = await serve(t)
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  for (let i = 0; i < 2; i++) {
    a.send(request('b'))
    t.match(await b.next(isType('connectReq')), { from: 'a', link_id: LINK })
  }
  t.match(server.status(), { opened: 1, links: { shell: 1 } })
  b.send(answer('a'))
  await a.next(isType('connectRep'))
  a.send(request('b'))
  t.match(await a.next(isType('connectRep')), { from: 'server', crep: { ok: false, msg: /in use/ } })
})

t.test('a request that cannot be passed on is answered', async (t) => {
  const { server, port } = await serve(t, { maxLinks: 2, maxLinksTotal: 3 })
  const [a, b, c] = [await join(t, port, 'a'), await join(t, port, 'b'), await join(t, port, 'c')]
  a.send(request('nobody'))
  t.match(await a.next(), { from: 'server', to: 'a', link_id: LINK, crep: { ok: false, msg: 'nobody is not connected' } })
  a.send(request('b', ''), request('b', 'x'.repeat(65)), { _type: 3, to: 'b', link_id: 'no request' })
  t.match(await a.next(), { link_id: 'no request', crep: { ok: false } })
  await openLink(a, b, '1')
  await openLink(b, a, '2')
  a.send(request('c', '3'))
  t.match(await a.next(), { link_id: '3', crep: { ok: false, msg: 'too many links' } })
  c.send(request('c', '4'), request('c', '5'))
  t.match([await c.next(), await c.next()], [{ link_id: '5', crep: { ok: false } }, { link_id: '4', creq: {} }], 'in all; to itself is allowed')
  t.match(server.status(), { refusedLinks: { unknown_client: 1, link_id: 2, malformed: 1, links: 2 }, links: { shell: 3 } })
})

t.test('a refused link is forgotten', async (t) => {
  const { server, port } = await serve(t)
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  a.send(request('b'))
  await b.next(isType('connectReq'))
  b.send(answer('a', LINK, false), data('a', 'after'))
  t.match(await a.next(), { from: 'b', crep: { ok: false, msg: 'no' } })
  await b.settled()
  t.match(server.status(), { links: { shell: 0 }, drops: { unknown_link: 1 } })
})

t.test('links that are over without a word: measurements, and those that nobody accepts', async (t) => {
  const clock = new ManualClock({ date: Date.now() })
  const { server, port } = await serve(t, { clock })
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  for (let i = 0; i < 3; i++) {
    a.send(request('b', `bench ${i}`, 'bench'))
    await b.next(isType('connectReq'))
    b.send(answer('a', `bench ${i}`))
    await a.next(isType('connectRep'))
  }
  t.match(server.status(), { links: { bench: 0 }, opened: 3 })
  a.send(request('b', 'tcp', 'tcp'))
  await b.next(isType('connectReq'))
  await openLink(a, b)
  for (let i = 0; i < 12; i++) {
    for (let j = 0; j < 10; j++) clock.advance(1000)
    t.equal(server.status().links.tcp, i < 11 ? 1 : 0)
  }
  t.match([await a.next(isType('disconnect')), await b.next(isType('disconnect'))], [{ from: 'server', link_id: 'tcp' }, { from: 'server', link_id: 'tcp' }])
  t.match(server.status(), { links: { shell: 1 }, endedLinks: { unanswered: 1 } })
})

t.test('the end of a connection is told once to the other end of each link', async (t) => {
  const { port } = await serve(t)
  const [a, b, c] = [await join(t, port, 'a'), await join(t, port, 'b'), await join(t, port, 'c')]
  await openLink(a, b, '1')
  await openLink(b, a, '2')
  await openLink(a, c, '3')
  await openLink(b, c, '4')
  a.send(data('b', 'last', '1'))
  await a.settled()
  a.socket.destroy()
  t.equal(contentOf(await b.next(isType('shellData'))), 'last', 'behind what it had sent')
  const told = [await b.next(isType('disconnect')), await b.next(isType('disconnect'))]
  t.match(told, [{ from: 'server', to: 'b' }, { from: 'server', to: 'b' }])
  t.same(told.map(({ link_id: link }) => link).sort(), ['1', '2'])
  t.match(await c.next(), { from: 'server', link_id: '3' })
  await b.settled()
  await c.settled()
  t.same([b.inbox, c.inbox], [[], []])
})

t.test('a second connection of an id takes the place of the first, with no link of it', async (t) => {
  const { server, port } = await serve(t)
  const [first, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  await openLink(first, b)
  const second = await join(t, port, 'a')
  t.match(await b.next(), { from: 'server', link_id: LINK, _type: 5 })
  await first.closed
  await openLink(second, b, 'fresh')
  second.send(data('b', 'hello', 'fresh'))
  t.equal(contentOf(await b.next()), 'hello')
  t.match(server.status(), { clients: 2, refused: { replaced: 1 } })
})

t.test('frames that break the protocol end their connection alone, and nothing of them is passed on', async (t) => {
  const { server, port } = await serve(t)
  const b = await join(t, port, 'b')
  const cases = [vector('bad_crc_keepalive'), vector('invalid_utf8_from'), vector('bad_protobuf'), vector('gzip_keepalive_negative'), frameOfPayload(Buffer.from('22016232016c5a040a02fffe', 'hex'))]
  for (const [i, bad] of cases.entries()) {
    const a = await join(t, port, 'a')
    a.send(bad, data('b', 'behind it'))
    await a.closed
    t.match(server.status(), { clients: 1, refused: { malformed: i + 1 } })
  }
  await b.settled()
  t.same(b.inbox, [])
})

t.test('an empty message, and frames in any pieces', async (t) => {
  const { port } = await serve(t)
  const [a, b] = [await join(t, port, 'a'), await join(t, port, 'b')]
  await openLink(a, b)
  a.send(vector('empty_message'))
  await a.settled()
  for (const byte of frameOf({ ...data('b', 'in pieces'), from: 'a' })) {
    a.socket.write(Buffer.from([byte]))
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  t.equal(contentOf(await b.next()), 'in pieces')
})

t.test('a pause of three seconds in a frame', async (t) => {
  const date = 60_000 * 28_000_000
  const clock = new ManualClock({ date })
  const { port } = await serve(t, { clock })
  const a = await dial(t, port, 'a')
  const slowly = async (frame: Uint8Array): Promise<void> => {
    for (const part of [frame.subarray(0, 3), frame.subarray(3, 9)]) {
      await new Promise<void>((resolve) => { a.socket.write(part, () => { resolve() }) })
      for (let i = 0; i < 3; i++) await clock.pass(1000)
    }
    a.socket.write(frame.subarray(9))
  }
  await slowly(frameOf(handshake('a', { date })))
  await a.settled()
  await slowly(frameOf({ ...data('a', 'slowly', ''), from: 'a', _type: UNKNOWN }))
  t.equal(contentOf(await a.next(({ sdata }) => sdata != null)), 'slowly')
})

t.test('the largest message, and one that is too long with the true address', async (t) => {
  const { port } = await serve(t)
  const [a, b] = [await join(t, port, 'a-rather-long-name'), await join(t, port, 'b')]
  await openLink(a, b)
  const overhead = frameOf({ ...data('b', Buffer.alloc(65_000)), from: a.id }).length - 65_000
  const largest = Buffer.alloc(65_535 + 6 - overhead, 0x61)
  a.send(data('b', largest))
  t.equal(contentOf(await b.next()), largest.toString())
  a.send({ ...data('b', Buffer.alloc(largest.length + 10)), from: 'x' })
  await a.closed
  t.match(await b.next(), { from: 'server', _type: 5 })
})

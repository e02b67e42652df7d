/** How a relay lets clients in (natpass protocol, section 2; cases 1 to 6 of section 8). */
import t from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import { dial, handshake, join, SECRET } from '../../../helpers/natpass/client.ts'
import { isType } from '../../../helpers/natpass/messages.ts'
import { serve } from '../../../helpers/natpass/serve.ts'
import { until } from '../../../helpers/ends.ts'
import { vector } from '../../../helpers/natpass/vectors.ts'
import { ReplayTable } from '../../../../src/nodes/natpass/relay/replay-table.ts'
import { legacyProofOf, proofOf, stepAt } from '../../../../src/nodes/natpass/protocol/proof.ts'

const DATE = 60_000 * 28_000_000 + 30_000

t.test('silence after a good handshake, then a keep-alive every 10 seconds', async (t) => {
  const clock = new ManualClock({ date: DATE })
  const { server, port } = await serve(t, { clock })
  const client = await dial(t, port, 'a')
  client.send(handshake('a', { date: DATE }))
  await client.settled()
  t.same(client.inbox, [])
  for (let i = 0; i < 9; i++) clock.advance(1000)
  await client.settled()
  t.same(client.inbox, [])
  clock.advance(1000)
  t.match(await client.next(), { _type: 2, from: 'server', to: 'a' })
  for (let i = 0; i < 10; i++) clock.advance(1000)
  await client.next(isType('keepalive'))
  t.equal(server.status().clients, 1)
})

t.test('what is refused ends without a word', async (t) => {
  const { server, port } = await serve(t)
  const now = stepAt(Date.now())
  for (const [name, message] of Object.entries({
    'a wrong secret': handshake('a', { secret: 'wrong' }),
    '63 bytes': handshake('a', { enc: proofOf(SECRET, now).subarray(1) }),
    'no proof': { _type: 1, from: 'a', to: 'server' },
    'a step of three minutes ago': handshake('a', { enc: proofOf(SECRET, now - 3) }),
    'the old form': handshake('a', { enc: legacyProofOf(SECRET, 'raw') }),
    'the old form in hex': handshake('a', { enc: legacyProofOf(SECRET, 'hex') })
  })) {
    const client = await dial(t, port)
    client.send(message)
    t.equal((await client.closed).length, 0, name)
  }
  for (const id of ['', 'server', 'x'.repeat(129)]) {
    const client = await dial(t, port)
    client.send(handshake(id))
    t.equal((await client.closed).length, 0, `id "${id.slice(0, 10)}"`)
  }
  t.match(server.status(), { clients: 0, refused: { secret: 6, id: 3 } })
})

t.test('clocks that are a minute off, and the old form where it is allowed', async (t) => {
  const clock = new ManualClock({ date: DATE })
  const { server, port } = await serve(t, { clock, legacyMd5: true })
  for (const enc of [...[-1, 0, 1].map((offset) => proofOf(SECRET, stepAt(DATE) + offset)), legacyProofOf(SECRET, 'raw'), legacyProofOf(SECRET, 'hex')]) {
    const client = await dial(t, port, 'a')
    client.send(handshake('a', { enc }))
    await client.settled()
  }
  await until(() => server.status().refused.replaced === 4)
  t.match(server.status(), { clients: 1, refused: { secret: 0 } })
})

t.test('nine other messages before the handshake, and no tenth', async (t) => {
  const { server, port } = await serve(t)
  const keepalive = vector('keepalive_client')
  const good = await dial(t, port, 'a')
  good.send(...Array(9).fill(keepalive), handshake('a'))
  await good.settled()
  const bad = await dial(t, port, 'b')
  bad.send(...Array(10).fill(keepalive), handshake('b'))
  t.equal((await bad.closed).length, 0)
  t.match(server.status(), { clients: 1, refused: { malformed: 1 } })
})

t.test('a connection that says nothing', async (t) => {
  const clock = new ManualClock({ date: DATE })
  const { server, port } = await serve(t, { clock })
  const client = await dial(t, port)
  client.socket.write(Buffer.from([0]))
  await until(() => server.status().halfOpen === 1)
  clock.advance(9999)
  t.equal(server.status().refused.timeout, 0)
  clock.advance(1)
  t.equal((await client.closed).length, 0)
  t.equal(server.status().refused.timeout, 1)
})

t.test('strict: a proof belongs to the first address that sends it, for its step', async (t) => {
  const replays = new ReplayTable()
  t.notOk(replays.isReplayed(1, 'a', 1))
  t.notOk(replays.isReplayed(1, 'a', 1))
  t.ok(replays.isReplayed(1, 'b', 1))
  t.notOk(replays.isReplayed(2, 'b', 1))
  t.notOk(replays.isReplayed(0, 'b', 1))
  t.notOk(replays.isReplayed('legacy', 'b', 1))
  t.notOk(replays.isReplayed(3, 'c', 2))
  t.ok(replays.isReplayed(2, 'a', 2), 'still known when others have come')
  t.ok(replays.isReplayed(1, 'b', 2))
  t.notOk(replays.isReplayed(4, 'c', 3))
  t.ok(replays.isReplayed('legacy', 'a', 1000), 'this one does not end')
  const { port, server } = await serve(t, { strict: true, listen: '[::]:0' } as object)
  await join(t, port, 'a')
  const other = await dial(t, port, 'b', '::1')
  other.send(handshake('b'))
  await other.closed
  t.match(server.status(), { clients: 1, refused: { replay: 1 } })
})

t.test('too many wrong secrets from one source', async (t) => {
  const { server, port } = await serve(t, { authFailures: 3, listen: '127.0.0.1:0', trustedProxies: ['127.0.0.1'] } as object)
  const from = async (source: string, secret?: string): Promise<void> => {
    const client = await dial(t, port)
    client.socket.write(`PROXY TCP4 ${source} 192.0.2.1 1 2\r\n`)
    client.send(handshake('a', { secret }))
    if (secret !== undefined) await client.closed
  }
  for (let i = 0; i < 5; i++) await from('192.0.2.7', 'wrong')
  t.match(server.status(), { refused: { secret: 3, rate: 2 } })
  await from('192.0.2.8')
  await until(() => server.status().clients === 1)
  t.match(server.status().members, [{ source: '192.0.2.8:1' }])
})

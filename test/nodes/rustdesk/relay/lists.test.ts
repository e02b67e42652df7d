/** Lists of addresses of a relay, and its settings while it runs (RustDesk protocol, section 5; defect 2). */
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import { until } from '../../../helpers/ends.ts'
import { dialRelay, dialWebSocket, pairOf, requestOf, serveRelay } from '../../../helpers/rustdesk/relay.ts'

t.test('an address on the blocklist is refused, and its pairs end; one on the blacklist is slowed', async (t) => {
  const folder = t.testdir({ 'blocklist.txt': '127.0.0.2\n', 'blacklist.txt': '::ffff:127.0.0.3\n' })
  const [blocklist, blacklist] = [join(folder, 'blocklist.txt'), join(folder, 'blacklist.txt')]
  const clock = new ManualClock()
  const relay = await serveRelay(t, { host: '::', blocklist, blacklist, clock })
  const blocked = await dialRelay(t, relay.port, { from: '127.0.0.2' })
  t.equal((await blocked.heard).length, 0)
  const slowed = await pairOf(t, relay, 'slow', { from: '127.0.0.3' })
  const [a, b] = await pairOf(t, relay, 'u', { from: '127.0.0.4' })
  t.match(relay.server.status(), { refused: { blocked: 1 }, members: [{ isSlowed: true }, { isSlowed: false }] })
  await writeFile(`${blocklist}.new`, '127.0.0.4\n')
  await rename(`${blocklist}.new`, blocklist)
  await clock.pass(3000)
  await until(() => relay.server.relay.command('B') === '127.0.0.4\n')
  await clock.pass(1000)
  await Promise.all([a.closed, b.closed])
  relay.server.relay.command('br all')
  await clock.pass(1000)
  await until(() => relay.server.status().pairs === 1)
  t.match(relay.server.status(), { pairs: 1, ended: { blocked: 1 }, members: [{ isSlowed: false }] })
  slowed[0].send(Buffer.from('hello'))
  t.equal(String(await slowed[1].next()), 'hello')
})

t.test('a trusted proxy says whose the connection is; nobody else does', async (t) => {
  for (const trustedProxies of [undefined, ['127.0.0.1']]) {
    const relay = await serveRelay(t, { trustedProxies })
    relay.server.relay.command('Ba 192.0.2.7')
    const client = await dialWebSocket(t, relay.websocketPort, { 'x-forwarded-for': '192.0.2.7' })
    client.send(requestOf('u'))
    const real = await dialWebSocket(t, relay.websocketPort, { 'x-real-ip': '192.0.2.7' })
    real.send(requestOf('another'))
    if (trustedProxies === undefined) await until(() => relay.server.status().pending === 2)
    else await Promise.all([client.closed, real.closed])
    t.match(relay.server.status(), { refused: { blocked: trustedProxies === undefined ? 0 : 2 } })
  }
})

t.test('the files of the lists are read once at a time', async (t) => {
  const { server: { relay } } = await serveRelay(t)
  const reading = relay.refreshLists()
  t.equal(relay.refreshLists(), reading)
  await reading
  t.not(relay.refreshLists(), reading)
})

t.test('settings change while pairs stay', async (t) => {
  const relay = await serveRelay(t)
  const [a, b] = await pairOf(t, relay)
  await relay.server.configure({ host: '127.0.0.1', port: 0, key: 'new', totalBandwidth: 64 })
  t.equal(relay.server.relay.command('tb'), '64Mb/s\n')
  const refused = await dialRelay(t, relay.port)
  refused.send(requestOf('u', ''))
  await refused.closed
  a.send(Buffer.from('hello'))
  t.equal(String(await b.next()), 'hello')
  t.match(relay.server.status(), { pairs: 1, refused: { key: 1 } })
  await t.rejects(relay.server.configure({ key: 'x', maxPending: 0 }), { code: 'ERR_OPTION' })
})

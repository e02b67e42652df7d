/** Programs that are killed, stopped, started again, or given the wrong password. */
import { join } from 'node:path'
import t from 'tap'
import { Lab, type Namespace } from '../helpers/network/namespaces.ts'
import { DEVICE, joined, startPeer, startRelay, type Program } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { answers, eventually, ping, reaches } from '../helpers/network/traffic.ts'

const LISTEN = 'ws://192.0.2.1:8080'
const URL = `${LISTEN}/`

if (await canRun(t)) {
  await t.test('a network in which programs come and go', { timeout: 90_000 }, async (t) => {
    const lab = new Lab(t)
    const states = t.testdir()
    const relayHost = await lab.host('relay', '192.0.2.1/24')
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name, i) => lab.host(name, `192.0.2.${11 + i}/24`)))
    const start = (host: Namespace, state: string): Program => startPeer(host, { url: URL, stateDir: join(states, state) })
    const isGone = (host: Namespace): Promise<boolean> => eventually(async () => await host.interface(DEVICE) === undefined)

    let relay = await startRelay(relayHost, LISTEN)
    const peerA = start(a, 'a')
    const addressOfA = await joined(peerA) // before the others, so that theirs are not what a new relay gives first
    const [peerB, peerC] = [start(b, 'b'), start(c, 'c')]
    const [addressOfB, addressOfC] = await Promise.all([joined(peerB), joined(peerC)])

    await t.test('a peer that is told to stop says goodbye', async (t) => {
      t.ok(await a.interface(DEVICE))
      t.equal(await peerA.stop('SIGTERM'), 0)
      t.equal(await a.interface(DEVICE), undefined)
      t.match(await relay.logged('peer left'), { address: addressOfA, remote: { host: '192.0.2.11' } })
    })

    await t.test('a relay is killed and comes back', async (t) => {
      const before = await Promise.all([b.interface(DEVICE), c.interface(DEVICE)])
      t.match(before, [{ up: true }, { up: true }])
      await relay.stop('SIGKILL')
      for (const { reason } of await Promise.all([peerB.event('offline'), peerC.event('offline')])) t.type(reason, 'string')
      t.same(await Promise.all([b.interface(DEVICE), c.interface(DEVICE)]), before, 'the interfaces stay, with their addresses')
      relay = await startRelay(relayHost, LISTEN)
      t.same(await Promise.all([joined(peerB), joined(peerC)]), [addressOfB, addressOfC], 'the same addresses')
      t.same(await Promise.all([b.interface(DEVICE), c.interface(DEVICE)]), before, 'on the same interfaces')
      t.equal(await ping(b, addressOfC), 3)
      t.equal(await ping(c, addressOfB), 3)
    })

    await t.test('a peer is killed, and its others go on', async (t) => {
      await peerB.stop('SIGKILL')
      t.ok(await isGone(b), 'its interface is gone')
      t.match(await relay.logged('peer left'), { address: addressOfB })
      const again = start(a, 'a')
      t.equal(await joined(again), addressOfA, 'a device that has been here before gets its address')
      t.equal(await ping(a, addressOfC), 3)
      t.equal(await ping(c, addressOfA), 3)
      t.notOk(await answers(a, addressOfB, 1))
    })

    await t.test('and comes back as who it was', async (t) => {
      t.equal(await joined(start(b, 'b')), addressOfB)
      t.ok(await reaches(c, addressOfB))
      t.equal(await ping(b, addressOfA), 3)
      t.equal(peerC.events.at(-1)?.event, 'online', 'nobody else has noticed')
    })

    await t.test('a wrong password', async (t) => {
      const host = await lab.host('stranger', '192.0.2.99/24')
      const stranger = startPeer(host, { url: URL, stateDir: join(states, 'stranger'), password: 'battery-staple' })
      for (let attempt = 1; attempt <= 3; attempt++) {
        t.match(await stranger.event('offline'), { reason: /wrong password/ }, `attempt ${attempt}`)
        t.match(await relay.logged('connection refused'), { reason: 'password', remote: { host: '192.0.2.99' } })
      }
      t.notOk(stranger.events.some(({ event }) => event === 'ready' || event === 'online'))
      t.equal(stranger.child.exitCode, null, 'still trying')
      t.equal(await stranger.stop('SIGTERM'), 0)
      t.equal(await host.interface(DEVICE), undefined)
      t.equal(await ping(a, addressOfC), 3, 'the others are not disturbed')
    })
  })
}

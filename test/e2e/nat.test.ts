/** A peer behind a router that masquerades, as most are, and a router that forgets what it has translated. */
import { join } from 'node:path'
import t from 'tap'
import { Lab, UPLINK } from '../helpers/network/namespaces.ts'
import { DEVICE, joined, startPeer, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { ping, reaches } from '../helpers/network/traffic.ts'

const LISTEN = 'ws://192.0.2.1:8080'
const OUTSIDE = '192.0.2.50'
const OTHER_OUTSIDE = '192.0.2.51'

if (await canRun(t, ['nft'])) {
  await t.test('a peer behind NAT', { timeout: 60_000 }, async (t) => {
    const lab = new Lab(t)
    const states = t.testdir()
    const relayHost = await lab.host('relay', '192.0.2.1/24')
    const far = await lab.host('far', '192.0.2.11/24')
    const router = await lab.host('router', `${OUTSIDE}/24`)
    const inside = await lab.namespace('inside')
    await lab.wire(router, 'lan', inside, UPLINK)
    await router.ip('addr', 'add', '198.51.100.1/24', 'dev', 'lan')
    await inside.ip('addr', 'add', '198.51.100.2/24', 'dev', UPLINK)
    await inside.ip('route', 'add', 'default', 'via', '198.51.100.1')
    await router.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
    await router.filter(`table ip nat {
      chain translate { type nat hook postrouting priority 100; oifname "${UPLINK}" masquerade; }
    }`)

    const relay = await startRelay(relayHost, LISTEN)
    const peer = startPeer(inside, { url: `${LISTEN}/`, stateDir: join(states, 'inside') })
    const address = await joined(peer)
    t.match(await relay.logged('peer joined'), { address, remote: { host: OUTSIDE } }, 'the relay sees the router')
    const farAddress = await joined(startPeer(far, { url: `${LISTEN}/`, stateDir: join(states, 'far') }))
    t.match(await relay.logged('peer joined'), { address: farAddress })

    await t.test('it reaches others, and they reach it', async (t) => {
      t.equal(await ping(inside, farAddress), 3)
      t.equal(await ping(far, address), 3)
    })

    await t.test('the router gets another address and forgets its translations', async (t) => {
      const before = await inside.interface(DEVICE)
      // with its address, the kernel removes all that was masqueraded behind it
      await router.ip('addr', 'del', `${OUTSIDE}/24`, 'dev', UPLINK)
      await router.ip('addr', 'add', `${OTHER_OUTSIDE}/24`, 'dev', UPLINK)
      t.ok(await reaches(inside, farAddress), 'it is back by itself')
      t.match(await peer.event('offline'), { reason: /./ })
      t.equal(await joined(peer), address, 'with the same address')
      t.same(await inside.interface(DEVICE), before, 'on the same interface')
      t.match(await relay.logged('peer joined'), { address, remote: { host: OTHER_OUTSIDE } })
      t.equal(await ping(inside, farAddress), 3)
      t.equal(await ping(far, address), 3)
    })
  })
}

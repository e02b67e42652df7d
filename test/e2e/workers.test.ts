/** A relay that carries packets on two threads, and peers with interfaces of the kernel. */
import { join } from 'node:path'
import t from 'tap'
import { Lab } from '../helpers/network/namespaces.ts'
import { joined, startPeer, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent, exchangeEqual, ping } from '../helpers/network/traffic.ts'

const TRANSFER_BYTES = 32 * 1024 * 1024

if (await canRun(t)) {
  await t.test('peers of two workers', { timeout: 90_000 }, async (t) => {
    const lab = new Lab(t)
    const states = t.testdir()
    const relayHost = await lab.host('relay', '192.0.2.1/24')
    const relay = await startRelay(relayHost, 'ws://192.0.2.1:8080', '--workers', '2')
    const members = await Promise.all([11, 12, 13].map(async (last, i) => { // with three, no worker has all but by chance, which changes nothing but what is seen
      const host = await lab.host(`peer${i}`, `192.0.2.${last}/24`)
      const peer = startPeer(host, { url: 'ws://192.0.2.1:8080/', stateDir: join(states, String(i)) })
      return { host, agent: new Agent(host), address: await joined(peer) }
    }))
    const pairs = members.flatMap((from) => members.filter((to) => to !== from).map((to) => ({ from, to })))
    await Promise.all(pairs.map(async ({ from, to }) => { t.equal(await ping(from.host, to.address), 3, `${from.address} to ${to.address}`) }))
    for (const [a, b] of [[members[0], members[1]], [members[1], members[2]], [members[2], members[0]]]) {
      await exchangeEqual(t, a, b, TRANSFER_BYTES)
    }
    t.equal(await relay.stop(), 0)
  })
}

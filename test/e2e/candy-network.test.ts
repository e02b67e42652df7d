/** A relay and its peers as their users run them, each on a host of its own with an interface of the kernel. */
import { join } from 'node:path'
import t from 'tap'
import { Lab, type Namespace } from '../helpers/network/namespaces.ts'
import { DEVICE, joined, startPeer, startRelay, type Program } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent, answers, eventually, exchangeEqual, ping } from '../helpers/network/traffic.ts'

interface Member {
  host: Namespace
  agent: Agent
  peer: Program
  address: string
}

const STATIC = '10.77.0.200'
const TRANSFER_BYTES = 32 * 1024 * 1024

/** With the two headers of 28 bytes an interface of 1400 carries 1372; more than that goes in fragments. */
const DATAGRAM_SIZES = [0, 1, 512, 1371, 1372, 1373, 4000, 1, 100, 1000]

if (await canRun(t)) {
  await t.test('three peers with dynamic addresses and one with an address of its own', { timeout: 90_000 }, async (t) => {
    const lab = new Lab(t)
    const states = t.testdir()
    const relayHost = await lab.host('relay', '192.0.2.1/24')
    const hosts = await Promise.all(['a', 'b', 'c', 'd'].map((name, i) => lab.host(name, `192.0.2.${11 + i}/24`)))
    const relay = await startRelay(relayHost, 'ws://192.0.2.1:8080')
    const members = await Promise.all(hosts.map(async (host, i): Promise<Member> => {
      const agent = new Agent(host)
      const args = i === 3 ? ['--address', `${STATIC}/24`] : []
      const peer = startPeer(host, { url: 'ws://192.0.2.1:8080/', stateDir: join(states, String(i)), args })
      return { host, agent, peer, address: await joined(peer) }
    }))
    const [a, b, c, d] = members

    await t.test('addresses', async (t) => {
      const addresses = members.map(({ address }) => address)
      t.equal(d.address, STATIC)
      t.equal(new Set(addresses).size, 4, addresses.join(', '))
      for (const { host, address } of members) {
        t.match(address, /^10\.77\.0\.([1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-4])$/)
        t.match(await host.interface(DEVICE), { up: true, addresses: [`${address}/24`] })
      }
      const joins = await Promise.all(members.map(() => relay.logged('peer joined')))
      t.same(joins.map(({ address }) => address).sort(), addresses.sort(), 'the relay has told who joined')
    })

    await t.test('everybody reaches everybody, both ways', async (t) => {
      const pairs = members.flatMap((from) => members.filter((to) => to !== from).map((to) => ({ from, to })))
      t.equal(pairs.length, 12)
      await Promise.all(pairs.map(async ({ from, to }) => {
        t.equal(await ping(from.host, to.address), 3, `${from.address} to ${to.address}`)
      }))
      t.notOk(await answers(a.host, '10.77.0.99', 1), 'and nobody answers for an address without an owner')
    })

    await t.test('TCP, both directions at once', async (t) => {
      await exchangeEqual(t, a, b, TRANSFER_BYTES)
    })

    await t.test('UDP, also in fragments', async (t) => {
      const port = await c.agent.call('serveEcho')
      t.same(await d.agent.call('askEcho', c.address, port, DATAGRAM_SIZES), [], 'all came back as they were')
    })

    await t.test('a broadcast reaches all others', async (t) => {
      const port = 7777
      const others = [b, c, d]
      await Promise.all(members.map(({ agent }) => agent.call('hear', port)))
      const heard = (): Promise<string[][]> => Promise.all(others.map(({ agent }) => agent.call('heard', port)))
      await a.agent.call('broadcast', a.address, '10.77.0.255', port, 'directed')
      t.ok(await eventually(async () => (await heard()).every((texts) => texts.length === 1)), 'to the network')
      await a.agent.call('broadcast', a.address, '255.255.255.255', port, 'limited')
      t.ok(await eventually(async () => (await heard()).every((texts) => texts.length === 2)), 'to all')
      for (const texts of await heard()) t.same(texts, ['directed', 'limited'])
    })
  })
}

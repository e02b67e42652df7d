/** Routes that a relay pushes and a client does not take, or does not keep. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Lab, UPLINK } from '../helpers/network/namespaces.ts'
import { joined, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { CLIENT, GATEWAY, LISTEN, sdwan, startMember, via } from '../helpers/network/routing.ts'
import { ping } from '../helpers/network/traffic.ts'

if (await canRun(t)) {
  await t.test('routes that a client does not take', { timeout: 110_000 }, async (t) => {
    const lab = new Lab(t)
    const states = t.testdir()
    const relayHost = await lab.host('relay', '192.0.2.1/24')
    const client = await lab.host('client', '192.0.2.11/24')
    const gateway = await lab.host('gateway', '192.0.2.12/24')
    await startRelay(relayHost, LISTEN, '--sdwan', sdwan('192.0.2.0/24', '198.51.100.0/24', '10.1.0.0/16', '0.0.0.0/0'))
    await joined(startMember(gateway, join(states, 'gateway'), GATEWAY))
    await client.ip('route', 'add', 'default', 'via', '192.0.2.1')

    for (const { option, taken, refused } of [
      { option: 'private', taken: ['10.1.0.0/16'], refused: ['192.0.2.0/24', '198.51.100.0/24', '0.0.0.0/0'] },
      { option: 'all', taken: ['default', '10.1.0.0/16', '198.51.100.0/24'], refused: ['192.0.2.0/24'] },
      { option: 'none', taken: [], refused: ['192.0.2.0/24', '198.51.100.0/24', '10.1.0.0/16', '0.0.0.0/0'] },
      { option: '198.51.100.0/24', taken: ['198.51.100.0/24'], refused: ['192.0.2.0/24', '10.1.0.0/16', '0.0.0.0/0'] }
    ]) {
      await t.test(`--routes ${option}`, async (t) => {
        const peer = startMember(client, join(states, 'client'), CLIENT, { args: ['--routes', option] })
        await joined(peer)
        t.same((await client.routes()).sort(), via(...taken).sort())
        for (const route of refused) {
          const line = await peer.logged('route not taken')
          t.match(line, { route: `${route} via ${GATEWAY}`, reason: route === '192.0.2.0/24' ? /^the server is in it, 192\.0\.2\.1:/ : /./ })
        }
        t.equal(await ping(client, GATEWAY), 3, 'the connection lives')
        t.same(await Promise.all(['192.0.2.1', '8.8.8.8'].map((address) => client.wayTo(address))), [UPLINK, UPLINK], 'the way to the relay and the default route are those of the machine')
        t.notOk(peer.events.some(({ event }) => event === 'offline'))
        t.equal(await peer.stop(), 0)
      })
    }
  })

  await t.test('a relay that moves into a network with a route to it', { timeout: 110_000 }, async (t) => {
    const lab = new Lab(t)
    const folder = t.testdir({ hosts: '192.0.2.1 relay.example\n' })
    const hosts = join(folder, 'hosts')
    const relayHost = await lab.host('relay', '192.0.2.1/24')
    const client = await lab.host('client', '192.0.2.11/24')
    await relayHost.ip('addr', 'add', '172.16.9.1/32', 'dev', UPLINK)
    await client.ip('route', 'add', 'default', 'via', '192.0.2.1')
    const relay = await startRelay(relayHost, 'ws://192.0.2.1:8080', '--sdwan', sdwan('172.16.0.0/16', '172.17.0.0/16'))
    const peer = startMember(client, join(folder, 'client'), CLIENT, { url: 'ws://relay.example:8080/', hosts })
    await joined(peer)
    t.same(await client.routes(), via('172.16.0.0/16', '172.17.0.0/16'))

    await relay.stop('SIGKILL')
    await peer.event('offline')
    writeFileSync(hosts, '172.16.9.1 relay.example\n')
    await startRelay(relayHost, 'ws://172.16.9.1:8080', '--sdwan', sdwan('172.16.0.0/16', '172.17.0.0/16'))
    t.match(await peer.logged('routes removed that lead to the server'), { host: 'relay.example' })
    await joined(peer)
    t.same(await client.routes(), via('172.17.0.0/16'))
    t.match(await peer.logged('route not taken'), { route: `172.16.0.0/16 via ${GATEWAY}`, reason: /^the server is in it, 172\.16\.9\.1:/ })
    t.equal(await peer.stop(), 0)
  })
}

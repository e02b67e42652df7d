/** Somebody else takes address, routes or state away from the interface of a peer: it is put back within seconds, and told. */
import t from 'tap'
import { Lab } from '../helpers/network/namespaces.ts'
import { DEVICE, joined, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { CLIENT, GATEWAY, LISTEN, sdwan, startMember, via } from '../helpers/network/routing.ts'
import { Agent, eventually, ping } from '../helpers/network/traffic.ts'

const METRICS = '127.0.0.1:9101'

if (await canRun(t)) {
  await t.test('an interface that others take things from', { timeout: 110_000 }, async (t) => {
    const lab = new Lab(t)
    const states = t.testdir({ client: {}, gateway: {} })
    const relayHost = await lab.host('relay', '192.0.2.1/24')
    const client = await lab.host('client', '192.0.2.11/24')
    const gateway = await lab.host('gateway', '192.0.2.12/24')
    await startRelay(relayHost, LISTEN, '--sdwan', sdwan('172.16.0.0/16', '172.17.0.0/16'))
    await joined(startMember(gateway, `${states}/gateway`, GATEWAY))
    const peer = startMember(client, `${states}/client`, CLIENT, { args: ['--metrics', METRICS] })
    await joined(peer)
    const agent = new Agent(client)
    const metric = async (name: string): Promise<number> =>
      Number((await agent.call('get', `http://${METRICS}/metrics`)).split('\n').find((line) => line.startsWith(`tunpipe_candy_${name} `))?.split(' ')[1])
    const routes = via('172.16.0.0/16', '172.17.0.0/16')
    t.same(await client.routes(), routes)
    t.same([await metric('restored_total'), await metric('lost')], [0, 0], 'what the peer does itself is no loss')

    let restored = 0
    for (const { what, commands, lost } of [
      { what: 'one route is removed', commands: ['route del 172.16.0.0/16 proto 202'], lost: [`route 172.16.0.0/16 via ${GATEWAY}`] },
      { what: 'all routes are flushed, that to the virtual network as well', commands: [`route flush dev ${DEVICE}`], lost: ['address', `route 172.16.0.0/16 via ${GATEWAY}`, `route 172.17.0.0/16 via ${GATEWAY}`] },
      { what: 'the interface is set down and up', commands: [`link set ${DEVICE} down`, `link set ${DEVICE} up`], lost: [`route 172.16.0.0/16 via ${GATEWAY}`, `route 172.17.0.0/16 via ${GATEWAY}`] },
      { what: 'the interface is set down', commands: [`link set ${DEVICE} down`], lost: ['up', 'address'] },
      { what: 'the address is flushed', commands: [`addr flush dev ${DEVICE}`], lost: ['address'] }
    ]) {
      await t.test(what, async (t) => {
        for (const command of commands) await client.ip(...command.split(' '))
        const line = await peer.logged('somebody else has taken from the interface')
        t.match(line, { interface: DEVICE })
        for (const part of lost) t.ok((line.lost as string[]).includes(part), `${part} in ${String(line.lost)}`)
        await peer.logged('interface put back')
        t.same(await client.routes(), routes)
        t.match(await client.interface(DEVICE), { up: true, addresses: [`${CLIENT}/24`] })
        t.equal(await client.wayTo(GATEWAY), DEVICE)
        t.equal(await ping(client, GATEWAY), 3, 'the network is there again, over the same connection')
        t.same([await metric('restored_total'), await metric('lost'), await metric('routes')], [++restored, 0, 2])
      })
    }

    await t.test('somebody who does it again and again is not fought without end, and the metrics tell what is so', async (t) => {
      await client.ip('addr', 'flush', 'dev', DEVICE) // the sixth in a minute
      t.ok(await eventually(async () => await metric('lost') === 3), 'address and both routes')
      t.same([await metric('routes'), await metric('restored_total')], [0, 5])
      t.equal((await agent.call('get', `http://${METRICS}/healthz`)).trim(), 'degraded', 'it is not well')
      await peer.logged('interface put back')
      t.same(await client.routes(), routes)
      t.same([await metric('routes'), await metric('lost')], [2, 0])
      t.equal((await agent.call('get', `http://${METRICS}/healthz`)).trim(), 'ok')
    })
    t.notOk(peer.events.some(({ event }) => event === 'offline'), 'the connection has stayed')
    t.equal(await peer.stop(), 0)
    t.equal(await client.interface(DEVICE), undefined)
  })
}

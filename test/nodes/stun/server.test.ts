/** A server of STUN with sockets: those of the system, and those of a simulated network. */
import { once } from 'node:events'
import { createSocket } from 'node:dgram'
import t from 'tap'
import { detect } from '../../helpers/nat/stun.ts'
import { decodeStun, encodeStun } from '../../../src/nat/index.ts'
import { serveStun } from '../../../src/nodes/stun/index.ts'
import { SimulatedNetwork } from '../../../src/transports/memory/index.ts'

t.test('a NAT is found out about by its four sockets', async (t) => {
  const network = new SimulatedNetwork({ seed: 2 })
  const { clock } = network
  const internet = network.subnet('0.0.0.0/0', { delay: 20 })
  const home = network.subnet('192.168.1.0/24')
  network.nat({ inside: home, outside: internet, address: '203.0.113.7', kind: 'restricted-cone' })
  const host = network.host({ on: internet, address: ['192.0.2.1', '192.0.2.2'] })
  const server = await serveStun({ listen: { host: '192.0.2.1', port: 3478 }, second: '192.0.2.2', clock, bind: (at) => host.bindUdp(at) })
  t.equal(server.url, 'udp://192.0.2.1:3478')
  const detection = await detect(clock, await network.host({ on: home, address: '192.168.1.2' }).bindUdp(), { servers: [{ host: '192.0.2.1', port: 3478 }], local: [] })
  t.equal(detection.describe(), 'address-restricted cone')
  t.match(server.status(), {
    endpoints: ['192.0.2.1:3478', '192.0.2.1:3479', '192.0.2.2:3478', '192.0.2.2:3479'],
    responses: 3 + 1 + 7, // first, and both of the other address; the port; what the NAT has dropped
    changed: 1 + 7,
    errors: { nonce: 2, unknownAttribute: 0 },
    drops: { malformed: 0, class: 0, source: 0, total: 0, queue: 0 }
  })
  await server.close()
  t.ok(await host.bindUdp({ host: '192.0.2.2', port: 3479 }), 'the ports are free again')
})

t.test('sockets of the system', async (t) => {
  const server = await serveStun({ listen: '127.0.0.1:0' })
  const { endpoints } = server.status()
  const [first, second] = endpoints.map((text) => Number(text.split(':')[1]))
  t.equal(second, first + 1)
  const client = createSocket('udp4').bind(0, '127.0.0.1')
  t.teardown(() => client.close())
  await once(client, 'listening')
  client.send(encodeStun({ class: 'request', transaction: Buffer.alloc(12, 1) }), second, '127.0.0.1')
  const [data, from] = await once(client, 'message')
  t.match(decodeStun(data), { class: 'success', xorMappedAddress: { host: '127.0.0.1', port: client.address().port }, otherAddress: { port: first } })
  t.equal(from.port, second)
  for (const port of [first, first - 1]) await t.rejects(serveStun({ listen: { host: '127.0.0.1', port } }), { code: 'EADDRINUSE' }, `of ${port} and the next one is taken`)
  await server.close()
  await server.close()
  const again = await serveStun({ listen: { host: '127.0.0.1', port: first } })
  await again.close()
})

t.test('options', async (t) => {
  for (const [init, option] of [
    [{ listen: '127.0.0.1:65535' }, 'listen'], [{ listen: 'x' }, 'listen'], [{ listen: '127.0.0.1:1', second: '127.0.0.1' }, 'second'], [{ listen: 1, second: '127.0.0.1' }, 'second'],
    [{ listen: '127.0.0.1:1', second: 'name.example' }, 'second'], [{ listen: 1, sourceRate: 0 }, 'sourceRate'], [{ listen: 1, totalRate: 0 }, 'totalRate']
  ] as const) await t.rejects(serveStun(init), { name: 'OptionError', option }, JSON.stringify(init))
})

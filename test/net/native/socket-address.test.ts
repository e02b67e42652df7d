/** Addresses in the form of the system, and back in that of Node. */
import fc from 'fast-check'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { SocketAddress } from 'node:net'
import t from 'tap'
import { hostOf, portOf, SOCKADDR_IN, SOCKADDR_IN6, socketAddress } from '../../../src/net/native/socket-address.ts'

const RUNS = { numRuns: 500 }

/** As Node prints it, whatever the form that it is given in. */
const printed = (host: string): string => new SocketAddress({ address: host, family: host.includes(':') ? 'ipv6' : 'ipv4' }).address

const words = fc.array(fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(1, 0xffff) }, { weight: 2, arbitrary: fc.nat(0xffff) }), { minLength: 8, maxLength: 8 })
const v6 = words.map((words) => words.map((word) => word.toString(16)).join(':'))
const mapped = fc.ipV4().map((host) => `::ffff:${host}`)
const compatible = fc.ipV4().map((host) => `::${host}`)
const ports = fc.nat(0xffff)

t.test('property: any address, its port, and back', async () => {
  fc.assert(fc.property(fc.oneof(fc.ipV4(), v6, fc.ipV6(), mapped, compatible), ports, (host, port) => {
    const address = socketAddress(host, port)
    return address.length === (host.includes(':') ? SOCKADDR_IN6 : SOCKADDR_IN) && hostOf(address) === printed(host) && portOf(address) === port
  }), RUNS)
})

t.test('addresses that have several forms', async (t) => {
  for (const host of ['::', '::1', '1::', '::ffff:1.2.3.4', '::1.2.3.4', '::ffff:0:0', '::fffe:1.2.3.4', '1:0:0:2::3', '1:0:2:0:3:0:4:0', '0:1::', '2001:DB8::A', '64:ff9b::192.0.2.1']) {
    t.equal(hostOf(socketAddress(host, 1)), printed(host), host)
  }
})

t.test('property: a zone by its number is kept, where no interface has it by its name', async () => {
  const used = new Set(Object.values(networkInterfaces()).flat().map((address) => address?.scopeid ?? 0))
  fc.assert(fc.property(v6, fc.integer({ min: 1, max: 0xffffffff }).filter((zone) => !used.has(zone)), (host, zone) => hostOf(socketAddress(`${host}%${zone}`, 1)) === `${printed(host)}%${zone}`), RUNS)
})

t.test('a zone of no interface is none', async (t) => {
  for (const zone of ['', 'nowhere', '-1', '1.5', 'Infinity', '4294967296']) t.equal(hostOf(socketAddress(`fe80::1%${zone}`, 1)), 'fe80::1', zone)
})

t.test('the same as Node gives for a socket', async (t) => {
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    for (const { address, scopeid = 0 } of addresses) {
      const host = scopeid === 0 ? address : `${address}%${name}`
      t.equal(hostOf(socketAddress(host, 1)), host)
    }
  }
  for (const host of ['127.0.0.1', '::1', '::', '0.0.0.0']) {
    const socket: Socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.bind(0, host)
    await once(socket, 'listening')
    t.equal(hostOf(socketAddress(host, 1)), socket.address().address)
    socket.close()
  }
})

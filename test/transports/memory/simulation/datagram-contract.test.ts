/** Sockets of simulated hosts keep the contract of all sockets, in one subnet and through a NAT. */
import t, { type Test } from 'tap'
import { datagramContract } from '../../../helpers/transports/datagram-contract.ts'
import { SimulatedNetwork, type SimulatedHost } from '../../../../src/transports/memory/index.ts'
import { MAX_DATAGRAM } from '../../../../src/transports/udp/socket.ts'
import type { DatagramSocket } from '../../../../src/types.ts'

const MTU = 65_575

/** The contract's tests wait without moving the clock, so it runs by itself. */
function running (t: Test, network: SimulatedNetwork): SimulatedNetwork {
  const stopping = new AbortController()
  void network.clock.run(stopping.signal)
  t.teardown(() => { stopping.abort() })
  return network
}

async function bound (t: Test, host: SimulatedHost, init: { sendLimit?: number, receiveLimit?: number } = {}): Promise<DatagramSocket> {
  const socket = await host.bindUdp(init)
  t.teardown(() => { socket.close() })
  return socket
}

for (const [family, cidr, largest] of [['IPv4', '192.0.2.0/24', MAX_DATAGRAM.ipv4], ['IPv6', '2001:db8::/64', MAX_DATAGRAM.ipv6]] as const) {
  const network = running(t, new SimulatedNetwork())
  const subnet = network.subnet(cidr, { mtu: MTU })
  let last = 0
  datagramContract(t, {
    name: `simulated network, ${family}`,
    largest,
    bind: (t, init) => bound(t, network.host({ on: subnet, address: cidr.replace(/0?\/.*/, String(++last)) }), init)
  })
}

const alone = running(t, new SimulatedNetwork())
const host = alone.host({ on: alone.subnet('192.0.2.0/24', { mtu: MTU }), address: '192.0.2.1' })
datagramContract(t, { name: 'simulated network, one host', largest: MAX_DATAGRAM.ipv4, bind: (t, init) => bound(t, host, init) })

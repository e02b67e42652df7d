/**
 * Connections of simulated hosts keep the contract of all transports: on one host, and through a network that repeats and reorders.
 * Nothing is lost there: who only reads never learns of a reset that was lost.
 */
import t, { type Test } from 'tap'
import { contract, type Subject } from '../../../../helpers/transports/contract.ts'
import { SimulatedNetwork, type SimulatedTransport, type SimulatedTransportInit } from '../../../../../src/transports/memory/index.ts'

/** The contract's tests wait without moving the clock, so it runs by itself. */
function running (t: Test): SimulatedNetwork {
  const network = new SimulatedNetwork({ trace: 0 })
  const stopping = new AbortController()
  void network.clock.run(stopping.signal)
  t.teardown(() => { stopping.abort() })
  return network
}

const subject = (name: string, make: (init?: SimulatedTransportInit) => SimulatedTransport): Subject => ({
  name,
  keepsMessages: false,
  overhead: 0,
  make,
  async dialRaw (transport, port) {
    const link = await transport.dial({ host: '127.0.0.1', port })
    return { reset: () => { link.abort(new Error('reset')) } }
  }
})

t.test('one host', async (t) => {
  const network = running(t)
  const subnet = network.subnet('10.0.0.0/8')
  let last = 0
  contract(t, subject('one host', (init) => network.host({ on: subnet, address: `10.0.0.${++last}` }).transport(init)))
})

t.test('two hosts', async (t) => {
  const network = running(t)
  const subnet = network.subnet('10.0.0.0/8', { delay: 5, jitter: 5, duplicate: 0.001, reorder: 0.001, mtu: 9000 })
  let last = 0
  contract(t, subject('two hosts', (init) => {
    const address = `10.0.0.${++last}`
    const server = network.host({ on: subnet, address }).transport(init)
    const client = network.host({ on: subnet, address: `10.0.1.${last}` }).transport(init)
    return {
      capabilities: client.capabilities,
      dial: (to) => client.dial({ ...to, host: address }),
      listen: (at) => server.listen({ ...at, host: address })
    }
  }))
})

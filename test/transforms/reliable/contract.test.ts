/** A stream over datagrams keeps the contract of all transports: over a network that delays, repeats and reorders, and over the loopback. */
import t, { type Test } from 'tap'
import { contract, type Subject } from '../../helpers/transports/contract.ts'
import { pipelines } from '../../helpers/transports/pipelines.ts'
import { loopbackPair, reliableTransport, simulatedPairs, streamPair } from '../../helpers/transforms/reliable.ts'
import { endsWith } from '../../helpers/ends.ts'
import type { SimulatedNetwork } from '../../../src/transports/memory/index.ts'
import type { ReliableInit } from '../../../src/transforms/reliable/index.ts'
import type { Link } from '../../../src/types.ts'

/** The tests wait without moving the clock, so it runs by itself. */
function running (t: Test, network: SimulatedNetwork): void {
  const stopping = new AbortController()
  void network.clock.run(stopping.signal)
  t.teardown(() => { stopping.abort() })
}

const subject = (name: string, pair: () => Promise<[Link, Link]>, init: ReliableInit): Subject => ({
  name,
  keepsMessages: false,
  overhead: 64,
  make: ({ queueLimit } = {}) => reliableTransport(pair, { ...init, queueLimit }),
  async dialRaw (transport, port) {
    const link = await transport.dial({ host: '', port })
    return { reset: () => { link.abort(new Error('reset')) } }
  }
})

t.test('over a network', async (t) => {
  const { network, pair } = simulatedPairs({ delay: 5, jitter: 5, duplicate: 0.01, reorder: 0.01, mtu: 16_428 })
  running(t, network)
  contract(t, subject('over a network', pair, { clock: network.clock, maxDatagram: 16_400 }))
})

t.test('over the loopback', async (t) => {
  contract(t, subject('over the loopback', loopbackPair, { maxDatagram: 32_768 }))
})

t.test('in pipelines', async (t) => {
  const { network, pair } = simulatedPairs({ delay: 5, loss: 0.05, mtu: 16_428 })
  running(t, network)
  pipelines(t, async (t) => {
    const [client, server] = streamPair(await pair(), { clock: network.clock, maxDatagram: 16_400 })
    return { client: endsWith(t, client), server: endsWith(t, server), halfClose: true }
  })
})

import t from 'tap'
import { CONNECTION_DEFAULTS } from '../../../../../src/transports/memory/simulation/stream/connection-init.ts'
import { ConnectionTable } from '../../../../../src/transports/memory/simulation/stream/connection-table.ts'
import { isSegment, type Segment } from '../../../../../src/transports/memory/simulation/stream/segment.ts'
import { distance } from '../../../../../src/transports/memory/simulation/stream/sequence.ts'
import type { HostStack } from '../../../../../src/transports/memory/simulation/host-stack.ts'
import { Simulation } from '../../../../../src/transports/memory/simulation/simulation.ts'
import { VirtualClock } from '../../../../../src/streams/virtual-clock.ts'

/** A clock that may show any time. */
class ShownClock extends VirtualClock {
  shown = 0

  override readonly now = (): number => this.shown
}

/** What the connections of a host send first at these times, in milliseconds. */
function firstSegments (times: readonly number[], seed: number): Segment[] {
  const clock = new ShownClock()
  const sent: unknown[] = []
  const host: HostStack = {
    simulation: new Simulation({ seed, clock, trace: 0, onPacket: undefined, inFlight: 1 << 20 }),
    name: 'host',
    addresses: () => ['192.0.2.1'],
    isOwn: (address) => address === '192.0.2.1',
    sourceFor: () => '192.0.2.1',
    mtuTo: () => 1500,
    send: ({ payload }) => sent.push(payload)
  }
  const table = new ConnectionTable(host)
  const limits = { ...CONNECTION_DEFAULTS, queueLimit: 1 << 20 }
  const events = { opened () {}, failed () {}, released () {} }
  for (const [i, time] of times.entries()) {
    clock.shown = time
    table.open({ local: { host: '192.0.2.1', port: 1000 + i }, remote: { host: '192.0.2.2', port: 80 }, limits, events })?.connection.connect()
  }
  return sent.filter(isSegment)
}

t.test('first sequence numbers grow with time, and are ones of 32 bits at any', async (t) => {
  for (const times of [[0, 1, 10_000], [-1e9, -5e8 - 0.3, 0], [-1.5, 0, 2.25], [1.77e12, 1.77e12 + 1, 1.77e12 + 60_000]]) {
    for (const seed of [1, 2, 3]) {
      const segments = firstSegments(times, seed)
      t.equal(segments.length, 3, `segments that a host takes, at ${times.join()}`)
      const between = segments.slice(1).map(({ sequence }, i) => distance(segments[i].sequence, sequence))
      const passed = times.slice(1).map((time, i) => (Math.floor(time * 250) - Math.floor(times[i] * 250)) | 0)
      t.same(between, passed, '250 in a millisecond')
    }
  }
})

/** What has to hold between two workers whatever the moment is, with both ends in one thread. */
import { MessageChannel } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { newRing, RingReader, RingWriter } from '../../../../src/buffers/shared-ring.ts'
import { FrameEncoder } from '../../../../src/transforms/websocket-frames/index.ts'
import { ConnectionLimiter } from '../../../../src/limits/connection-limiter.ts'
import { Forwarder } from '../../../../src/nodes/candy/relay/workers/forwarder.ts'
import { WorkerRings } from '../../../../src/nodes/candy/relay/workers/worker-rings.ts'
import type { Counts, WorkerRingInit, WorkerCommand, WorkerEvent } from '../../../../src/nodes/candy/relay/workers/messages.ts'
import { readRelay } from '../../../../src/nodes/candy/relay/settings.ts'
import { addr, PASSWORD } from '../../../helpers/candy/client.ts'
import { bytes, until } from '../../../helpers/ends.ts'
import { numbered } from '../../../helpers/candy/crew.ts'
import { ManualClock } from '../../../helpers/clock.ts'

/** One end of the way between two workers, and the rings of the other end. */
function ring (t: Test): { init: WorkerRingInit, reader: RingReader, writer: RingWriter, say (message: number): void } {
  const [there, back] = [newRing(), newRing()]
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => {
    port1.close()
    port2.close()
  })
  return { init: { outgoing: there, incoming: back, port: port1 }, reader: new RingReader(there), writer: new RingWriter(back), say: (message) => { port2.postMessage(message) } }
}

const ROOM = 1

t.test('whoever waits for room is told, also when another one has found some meanwhile', async (t) => {
  const { init, reader, say } = ring(t)
  const rings = new WorkerRings([undefined, init], { onUnicast: () => false, onBroadcast () {} })
  const port = rings.port(0, 1)
  while (rings.room() === undefined) port.send([bytes(100_000)])
  const first = rings.room() as Promise<void>
  // Another one sees that it is crowded, and then the other worker reads.
  const isCrowded = Object.getOwnPropertyDescriptor(RingWriter.prototype, 'isCrowded') as PropertyDescriptor
  t.teardown(() => { Object.defineProperty(RingWriter.prototype, 'isCrowded', isCrowded) })
  Object.defineProperty(RingWriter.prototype, 'isCrowded', {
    configurable: true,
    get () {
      Object.defineProperty(RingWriter.prototype, 'isCrowded', isCrowded)
      const before = isCrowded.get?.call(this)
      reader.read(() => {})
      return before
    }
  })
  void rings.room()
  t.ok(reader.wake(), 'the first one still waits')
  say(ROOM)
  await first
  t.equal(rings.room(), undefined)
})

t.test('those who wait go on a few at a time, as long as there is room', async (t) => {
  const { init, reader, say } = ring(t)
  const rings = new WorkerRings([undefined, init], { onUnicast: () => false, onBroadcast () {} })
  const port = rings.port(0, 1)
  while (rings.room() === undefined) port.send([bytes(60_000)])
  t.notOk(rings.isFull, 'it is crowded long before it is full')
  let on = 0
  const all = Array.from({ length: 30 }, async () => {
    await rings.room()
    on++
    port.send([bytes(60_000)])
  })
  const isOver = (): boolean => on === all.length
  let steps = 0
  for (; !isOver(); steps++) {
    const before = on
    await until(() => {
      reader.read(() => {})
      if (reader.wake()) say(ROOM)
      return on > before
    })
    t.notOk(rings.isFull, `${on} have gone on`)
  }
  await Promise.all(all)
  t.ok(steps > 3, `${steps} steps`)
})

t.test('a message to all of a member that this worker is told of only now', async (t) => {
  const { init, writer } = ring(t)
  const { limiter, lenient, queueTotal, networks: [settings] } = readRelay({ password: PASSWORD, dhcp: '10.77.0.0/24' })
  const reports: WorkerEvent[] = []
  const orders: WorkerCommand[] = []
  const forwarder = new Forwarder({ index: 1, count: 2, rings: [init, undefined], limits: { limiter, unmasked: lenient, queueTotal } }, new ConnectionLimiter(limiter), (event) => { reports.push(event) }, () => {
    for (const command of orders.splice(0)) forwarder.handle(command)
  }, new ManualClock())
  const sent: Uint8Array[] = []
  const link = {
    port: { send (batch: Uint8Array[]) { sent.push(...batch.map((message) => message.slice())); return batch.length }, queued: 0, limit: 1 },
    flow: () => new Promise(() => {}),
    remote: { host: '192.0.2.1', port: 1 },
    path: '/'
  }
  void forwarder.accept(link as unknown as Parameters<Forwarder['accept']>[0], 0)
  const [{ id }] = reports as Array<Extract<WorkerEvent, { type: 'open' }>>
  forwarder.handle({ type: 'network', network: 0, settings })
  const state = (address: string): Extract<WorkerCommand, { type: 'member' }>['state'] => ({ address: addr(address), behind: undefined, gateways: new Set(), routes: [] })
  forwarder.handle({ type: 'member', network: 0, id, state: state('10.77.0.1') })
  orders.push({ type: 'member', network: 0, id: 0, state: state('10.77.0.2') })
  const message = numbered('10.77.0.2', '255.255.255.255', 1)
  const to = { network: 0, toAll: 1 }
  writer.write([to.network << 1 | to.toAll, 0, 0, 1, message.length], new FrameEncoder('server').push([message])[0])
  const read = new Promise<void>((resolve) => { init.port.once('message', () => { setImmediate(resolve) }) })
  init.port.emit('message', 0)
  await read
  t.same(sent.map((bytes) => Buffer.from(bytes).toString('hex')), [Buffer.from(message).toString('hex')])
  const before = reports.length
  forwarder.handle({ type: 'no network', network: 0 })
  const [counts, last] = reports.slice(before) as [{ counts: Counts }, WorkerEvent]
  t.match(counts.counts.traffic, [{ network: 0, id, traffic: { packetsOut: 1 } }], 'and what it has carried is told before the network is no more')
  t.same(last, { type: 'no network', network: 0 })
})

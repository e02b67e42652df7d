/** What leaves together, and whose memory it is. */
import t from 'tap'
import { Outbox } from '../../../../src/nodes/showchain/relay/outbox.ts'
import type { Batch, Datagram, PacketPort } from '../../../../src/types.ts'

const TO = { host: '192.0.2.1', port: 1 }

function lab (more: { isReusable?: boolean } = {}) {
  const sent: Array<Batch<Datagram>> = []
  const port = {
    limit: 1e6,
    queued: 0,
    isFull: false as boolean,
    ...more,
    send (batch: Batch<Datagram>): number {
      sent.push(more.isReusable === true ? batch.map((datagram) => ({ ...datagram, data: Uint8Array.from(datagram.data) })) : batch)
      return this.isFull ? 0 : batch.length
    }
  } satisfies PacketPort<Datagram> & { isFull: boolean }
  return { port, sent, outbox: new Outbox(port) }
}

const texts = (batch: Batch<Datagram>): string[] => batch.map(({ data }) => Buffer.from(data).toString())

t.test('copies, which may be changed and cut until they leave', async (t) => {
  const { sent, outbox } = lab()
  const data = Buffer.from('one two')
  const at = outbox.add(data, TO, 3)
  data.fill('x')
  outbox.memory[at] = 'O'.charCodeAt(0)
  t.equal(Buffer.from(outbox.memory).toString('latin1', at, at + 7), 'One two')
  outbox.add(Buffer.from('three'), { host: '192.0.2.2', port: 2 })
  t.same(sent, [])
  outbox.flush()
  outbox.flush()
  t.same(sent.map(texts), [['One', 'three']])
  t.same(sent[0].map(({ host, port }) => [host, port]), [['192.0.2.1', 1], ['192.0.2.2', 2]])
})

t.test('memory is used again only where nobody reads it any more', async (t) => {
  const once = (outbox: Outbox): number => {
    const at = outbox.add(Buffer.from('1234'), TO)
    outbox.flush()
    return at
  }
  const { port, outbox } = lab({ isReusable: true })
  t.same([once(outbox), once(outbox)], [0, 0])
  port.queued = 4
  t.same([once(outbox), once(outbox)], [0, 4])
  const other = lab().outbox
  t.same([once(other), once(other)], [0, 4])
})

t.test('more than there is memory for, which leaves in parts, unharmed', async (t) => {
  for (const isReusable of [true, false]) {
    const { sent, outbox } = lab({ isReusable })
    for (let i = 0; i < 400; i++) outbox.add(Buffer.alloc(1000, i), TO)
    outbox.flush()
    const all = sent.flat()
    t.ok(all.every(({ data }) => data.every((byte) => byte === data[0])))
    t.same(all.map(({ data }) => data[0]), Array.from({ length: 400 }, (_, i) => i % 256))
  }
})

t.test('what the system does not take is counted', async (t) => {
  const { port, outbox } = lab()
  port.isFull = true
  for (let i = 0; i < 3; i++) outbox.add(Buffer.from('1'), TO)
  outbox.flush()
  t.equal(outbox.unsent, 3)
})

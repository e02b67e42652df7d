/** What large packets are made of those that arrive. */
import fc from 'fast-check'
import { constants } from 'node:os'
import t from 'tap'
import { cut } from '../../../src/tun/offload/cut.ts'
import { Joiner } from '../../../src/tun/offload/join.ts'
import { Gso, gsoSize, gsoType, VIRTIO_HEADER } from '../../../src/tun/offload/virtio.ts'
import type { Offload } from '../../../src/tun/index.ts'
import type { Batch } from '../../../src/types.ts'
import { ACK, type Datagram, ECE, FIN, isRight, largeOf, packetOf, PSH, tcpPacket } from '../../helpers/tun/packets.ts'

const { EIO } = constants.errno

const SYN = 0x02
const URG = 0x20

interface Written {
  packet: Uint8Array
  type: number
  size: number
}

/** What the device is given for a batch. */
function written (batch: Batch, offloads: Offload[] = ['checksum', 'tcp', 'udp']): Written[] {
  const all: Written[] = []
  const joiner = new Joiner((bytes, length) => {
    all.push({ packet: Uint8Array.from(bytes.subarray(VIRTIO_HEADER, length)), type: gsoType(bytes), size: gsoSize(bytes) })
    return 0
  }, offloads)
  const { packets, bytes } = joiner.push(batch)
  t.same([packets, bytes], [batch.length, batch.reduce((sum, { length }) => sum + length, 0)])
  return all
}

/** Segments of one stream, each going on where the one before ends. */
function segments (sizes: number[], change: (i: number) => Partial<Datagram> = () => ({})): Uint8Array[] {
  let sequence = 0xffff_fc00
  return sizes.map((size, i) => {
    const packet = packetOf({ id: i, sequence, payload: Buffer.alloc(size, i + 1), ...change(i) })
    sequence = (sequence + size) >>> 0
    return packet
  })
}

/** Into how many writes such segments go. */
const count = (sizes: number[], change?: (i: number) => Partial<Datagram>): number => written(segments(sizes, change)).length

t.test('property: what was cut is joined to what it was', async (t) => {
  fc.assert(fc.property(tcpPacket, fc.integer({ min: 1, max: 2000 }), (init, size) => {
    const { packet, header } = largeOf(init, size)
    const pieces: Batch = []
    t.ok(cut(packet, header, (length) => new Uint8Array(length), pieces))
    const [joined, ...rest] = written(pieces)
    t.equal(rest.length, 0)
    t.ok(Buffer.from(joined.packet).equals(packetOf(init)) && isRight(joined.packet))
    t.same([joined.type, joined.size], pieces.length > 1 ? [Gso.TCPV4, size] : [Gso.NONE, 0])
  }), { numRuns: 200 })
})

t.test('property: no stream changes, whatever is mixed, lost or out of order', async (t) => {
  const step = fc.record({
    stream: fc.integer({ min: 0, max: 20 }),
    size: fc.constantFrom(0, 1, 99, 100, 100, 100, 100),
    gap: fc.constantFrom(0, 0, 0, 0, 0, 1),
    back: fc.constantFrom(false, false, false, true),
    flags: fc.constantFrom(ACK, ACK, ACK, ACK | PSH, ACK | FIN, ACK | SYN, ACK | URG, ACK | ECE)
  })
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const next = new Map<number, number>()
    const batch = steps.map(({ stream, size, gap, back, flags }, i) => {
      const sequence = (next.get(stream) ?? stream * 1000) + gap
      if (!back) next.set(stream, sequence + size)
      return packetOf({ ports: [stream, 80], sequence, flags, id: i, payload: Buffer.alloc(size, i) })
    })
    // as a receiver sees each stream: pieces in their order, with what was said with them
    const told = (packets: Array<Omit<Written, 'type'>>): Record<number, string[]> => {
      const streams: Record<number, string[]> = {}
      for (const { packet, size } of packets) {
        const bytes = Buffer.from(packet)
        const payload = bytes.subarray(40)
        const seen = streams[bytes.readUInt16BE(20)] ??= []
        for (let at = 0; at < Math.max(1, payload.length); at += size === 0 ? Math.max(1, payload.length) : size) {
          const part = size === 0 ? payload : payload.subarray(at, at + size)
          const flags = at + part.length < payload.length ? bytes[33] & ~(FIN | PSH) : bytes[33]
          seen.push(`${bytes.readUInt32BE(24) + at} ${part.toString('hex')} ${flags}`)
        }
      }
      return streams
    }
    const out = written(batch)
    t.ok(out.every(({ packet }) => isRight(packet)))
    t.same(told(out), told(batch.map((packet) => ({ packet, size: 0 }))))
  }), { numRuns: 500 })
})

t.test('what is joined', async (t) => {
  t.equal(count([100, 100, 100]), 1)
  t.equal(count([100, 100, 50]), 1, 'the last one may be shorter')
  t.equal(count([101, 101, 101]), 1, 'an odd length')
  t.equal(count([100, 100, 100], (i) => ({ flags: i === 2 ? ACK | PSH | FIN : ACK })), 1, 'the last one may push and end')
  t.equal(count([100, 100], () => ({ flags: ACK | ECE })), 1)
  t.equal(count([100, 100], (i) => ({ id: i * 7 })), 1, 'identifications mean nothing where nothing may be fragmented')
  t.equal(count([100, 100], (i) => ({ id: 0xffff + i, dontFragment: false })), 1)
  t.equal(count(Array(47).fill(1360)), 1)
  t.equal(count(Array(49).fill(1360)), 2, 'no packet has more than 65535 bytes')
})

t.test('what is not joined', async (t) => {
  t.equal(count([100, 50, 100]), 2, 'after a shorter one')
  t.equal(count([100, 150]), 2, 'a longer one')
  t.equal(count([100, 100], (i) => ({ sequence: i * 101 })), 2, 'a gap')
  t.equal(count([100, 100], () => ({ sequence: 5 })), 2, 'the same again')
  t.equal(count([100, 100, 100], (i) => ({ flags: i === 1 ? ACK | PSH : ACK })), 2, 'after a push')
  t.equal(count([100, 100], (i) => ({ flags: i === 0 ? ACK | FIN : ACK })), 2, 'after an end')
  for (const odd of [SYN, URG, 0x04, 0x80]) t.equal(count([100, 100], () => ({ flags: ACK | odd })), 2, `flag ${odd}`)
  t.equal(count([100, 100], () => ({ flags: PSH })), 2, 'no acknowledgement')
  t.equal(count([0, 0]), 2, 'no payload')
  t.equal(count([100, 0, 100]), 3, 'an acknowledgement in between keeps its place')
  t.equal(count([100, 100], (i) => ({ flags: i === 0 ? ACK : ACK | ECE })), 2)
  t.equal(count([100, 100], (i) => ({ ack: i })), 2, 'acknowledgement')
  t.equal(count([100, 100], (i) => ({ window: i })), 2, 'window')
  t.equal(count([100, 100], (i) => ({ tos: i })), 2, 'type of service')
  t.equal(count([100, 100], (i) => ({ ttl: 64 + i })), 2, 'time to live')
  t.equal(count([100, 100], (i) => ({ ports: [1, i] })), 2, 'port')
  t.equal(count([100, 100], (i) => ({ source: i })), 2, 'address')
  t.equal(count([100, 100], (i) => ({ options: Buffer.from([1, 1, 1, i]) })), 2, 'options')
  t.equal(count([100, 100], (i) => ({ options: Buffer.alloc(i * 4, 1) })), 2, 'length of the options')
  t.equal(count([100, 100], (i) => ({ dontFragment: i === 0 })), 2)
  t.equal(count([100, 100], (i) => ({ id: i * 2, dontFragment: false })), 2, 'identification')
  t.equal(written(segments([100, 100]), ['checksum', 'udp']).length, 2, 'a device that takes no large packets')
  const fragments = segments([100, 100])
  for (const packet of fragments) packet[6] = 0x20
  t.equal(written(fragments).length, 2, 'fragments')
  const optioned = segments([100, 100])
  for (const packet of optioned) packet[0] = 0x46
  t.equal(written(optioned).length, 2, 'options of IP')
})

t.test('streams that take turns are joined each for itself', async (t) => {
  const [a, b] = [1, 2].map((port) => segments([100, 100, 100], () => ({ ports: [port, 80] })))
  t.equal(written(a.flatMap((packet, i) => [packet, b[i]])).length, 2)
  const inTurn = (streams: number): Batch => [0, 1].flatMap((i) => Array.from({ length: streams }, (_, port) => segments([100, 100], () => ({ ports: [port, 80] }))[i]))
  t.equal(written(inTurn(16)).length, 16)
  t.equal(written(inTurn(17)).length, 34, 'too many at a time')
})

t.test('a wrong checksum of a segment is one of the whole', async (t) => {
  const packets = segments([101, 101, 57])
  for (let i = 0; i < packets.length; i++) {
    const damaged = packets.map((packet) => Uint8Array.from(packet))
    damaged[i][60] ^= 1
    const [joined] = written(damaged)
    t.notOk(isRight(joined.packet), `the byte of segment ${i}`)
  }
})

t.test('what the device refuses, and what is none', async (t) => {
  const joiner = new Joiner((_, length) => length > 1000 ? 0 : EIO, ['tcp'])
  t.same(joiner.push([...segments([500, 500, 500]), packetOf({ payload: Buffer.alloc(10) })]), { packets: 3, bytes: 1620 })
  t.same(joiner.push([new Uint8Array(19), new Uint8Array(65_536)]), { packets: 0, bytes: 0 })
})

t.test('any bytes', async (t) => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ minLength: 20, maxLength: 100 }), { maxLength: 8 }), (batch) => {
    for (const packet of batch) packet.set([0x45, 0, 0, packet.length])
    for (const packet of batch) packet[9] = 6
    t.ok(written(batch).length <= batch.length)
  }), { numRuns: 2000 })
})

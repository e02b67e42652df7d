/** What large packets are made of datagrams, and what a kernel makes of those. */
import fc from 'fast-check'
import { constants } from 'node:os'
import t from 'tap'
import { Joiner } from '../../../src/tun/offload/join.ts'
import { Gso, gsoSize, gsoType, VIRTIO_HEADER } from '../../../src/tun/offload/virtio.ts'
import type { Offload } from '../../../src/tun/index.ts'
import type { Batch } from '../../../src/types.ts'
import { mutations, sample } from '../../helpers/sample.ts'
import { type Datagram, isRight, kernelDatagrams, packetOf, plainSum } from '../../helpers/tun/packets.ts'

const { EINVAL, EIO } = constants.errno

interface Written {
  header: Uint8Array
  packet: Uint8Array
}

/** What the device is given for a batch. */
function written (batch: Batch, offloads: Offload[] = ['checksum', 'tcp', 'udp']): Written[] {
  const all: Written[] = []
  const joiner = new Joiner((bytes, length) => {
    all.push({ header: Uint8Array.from(bytes.subarray(0, VIRTIO_HEADER)), packet: Uint8Array.from(bytes.subarray(VIRTIO_HEADER, length)) })
    return 0
  }, offloads)
  const { packets, bytes } = joiner.push(batch)
  t.same([packets, bytes], [batch.length, batch.reduce((sum, { length }) => sum + length, 0)])
  return all
}

/** Datagrams of one flow. */
const datagrams = (sizes: number[], change: (i: number) => Partial<Datagram> = () => ({})): Uint8Array[] =>
  sizes.map((size, i) => packetOf({ isUdp: true, id: i, payload: Buffer.alloc(size, i + 1), ...change(i) }))

/** Into how many writes such datagrams go. */
const count = (sizes: number[], change?: (i: number) => Partial<Datagram>): number => written(datagrams(sizes, change)).length

/** Where nothing may be fragmented, identifications mean nothing (RFC 6864), and kernels change them. */
function withoutId (packet: Uint8Array): string {
  const copy = Buffer.from(packet)
  if (copy[6] === 0x40 && copy[9] === 17 && plainSum(copy.subarray(0, 20)) === 0xffff) {
    copy.writeUInt16BE(0, 4)
    copy.writeUInt16BE(0, 10)
    copy.writeUInt16BE(~plainSum(copy.subarray(0, 20)) & 0xffff, 10)
  }
  return copy.toString('hex')
}

t.test('property: a kernel makes the same datagrams of it, byte for byte, and in the order of each flow', async (t) => {
  const step = fc.record({
    flow: fc.integer({ min: 0, max: 20 }),
    isUdp: fc.constantFrom(true, true, true, true, false),
    size: fc.constantFrom(...Array(9).fill(99), 1, 100, 0),
    gap: fc.constantFrom(...Array(9).fill(0), 1),
    isOther: fc.constantFrom(...Array(9).fill(false), true),
    damage: fc.constantFrom(...Array(30).fill('none'), 'payload', 'checksum', 'none of it', 'header', 'length', 'fragment'),
    seed: fc.integer({ min: 0, max: 255 })
  })
  let joined = 0
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(1, 2, 3, 21), (steps, flows) => {
    const ids = new Map<number, number>()
    const batch = steps.map(({ flow: any, isUdp, size, gap, isOther, damage, seed }) => {
      const flow = any % flows
      const id = ((ids.get(flow) ?? 0xfff0) + gap) & 0xffff
      ids.set(flow, id + 1)
      const packet = packetOf({ isUdp, id, dontFragment: flow % 3 > 0, tos: isOther ? 3 : 0, ports: [flow, 80], sequence: 100 * id, payload: Buffer.alloc(size, seed) })
      if (!isUdp) return packet
      if (damage === 'payload') packet[packet.length - 1] ^= 1
      if (damage === 'checksum') packet[26] ^= 1
      if (damage === 'none of it') packet.fill(0, 26, 28)
      if (damage === 'header') packet[10] ^= 1
      if (damage === 'length') packet[25] ^= 1
      if (damage === 'fragment') packet[7] ^= 1
      return packet
    })
    const told = (packets: Batch): Record<string, string[]> => {
      const all: Record<string, string[]> = {}
      for (const packet of packets) if (packet[9] === 17) (all[`${packet[20]}.${packet[21]}`] ??= []).push(withoutId(packet))
      return all
    }
    const out = written(batch).flatMap(({ packet, header }) => {
      if (packet[9] !== 17 || gsoType(header) === Gso.NONE) return [packet]
      joined++
      return kernelDatagrams(packet, header)
    })
    t.same(told(out), told(batch))
  }), { numRuns: sample('batches', { short: 1000, long: 50_000 }) })
  t.ok(joined > 300, `${joined} large packets`)
})

t.test('what is joined', async (t) => {
  t.equal(count([100, 100, 100]), 1)
  t.equal(count([100, 100, 50]), 1, 'the last one may be shorter')
  t.equal(count([101, 101, 1]), 1, 'an odd length')
  t.equal(count([100, 100], (i) => ({ id: i * 7 })), 1, 'identifications mean nothing where nothing may be fragmented')
  t.equal(count([100, 100], (i) => ({ id: 0xffff + i, dontFragment: false })), 1)
  t.equal(count(Array(64).fill(10)), 1)
  t.equal(count(Array(65).fill(10)), 2, 'no packet has more than 64')
  t.equal(count(Array(50).fill(1310)), 1)
  t.equal(count(Array(51).fill(1310)), 2, 'no packet has more than 65535 bytes')
  const [{ packet, header }] = written(datagrams([1300, 1300, 700]))
  t.same([packet.length, gsoType(header), gsoSize(header)], [28 + 3300, Gso.UDP, 1300])
  const [a, b] = [1, 2].map((port) => datagrams([100, 100, 100], () => ({ ports: [port, 80] })))
  t.equal(written(a.flatMap((packet, i) => [packet, b[i]])).length, 2, 'flows that take turns')
  const tcp = packetOf({ payload: Buffer.alloc(10) })
  t.equal(written([a[0], tcp, a[1], tcp, a[2]]).length, 3, 'between packets of TCP with the same ports')
})

t.test('what is not joined', async (t) => {
  t.equal(count([100, 50, 100]), 2, 'after a shorter one')
  t.equal(count([100, 150]), 2, 'a longer one')
  t.equal(count([0, 0]), 2, 'no payload')
  t.equal(count([100, 0, 100]), 3, 'one without payload keeps its place')
  t.equal(count([100, 100], (i) => ({ tos: i })), 2, 'type of service')
  t.equal(count([100, 100], (i) => ({ ttl: 64 + i })), 2, 'time to live')
  t.equal(count([100, 100], (i) => ({ ports: [1, i] })), 2, 'port')
  t.equal(count([100, 100], (i) => ({ source: i })), 2, 'address')
  t.equal(count([100, 100], (i) => ({ dontFragment: i === 0 })), 2)
  t.equal(count([100, 100], (i) => ({ id: i * 2, dontFragment: false })), 2, 'identification')
  t.equal(count([100, 100], () => ({ version: 6 })), 2, 'IPv6')
  t.equal(written(datagrams([100, 100]), ['checksum', 'tcp']).length, 2, 'a device that takes no large packets of UDP')
  const changed = (change: (packet: Uint8Array) => void): number => {
    const packets = datagrams([100, 100])
    packets.forEach(change)
    return written(packets).length
  }
  t.equal(changed((packet) => { packet[6] = 0x20 }), 2, 'fragments')
  t.equal(changed((packet) => { packet[0] = 0x46 }), 2, 'options of IP')
  t.equal(changed((packet) => { packet.fill(0, 26, 28) }), 2, 'no checksum')
  t.equal(changed((packet) => { packet[25]-- }), 2, 'another length of UDP')
})

t.test('a wrong checksum is not made good', async (t) => {
  for (const at of [10, 12, 22, 26, 60, 128]) {
    for (let i = 0; i < 5; i++) {
      const packets = datagrams([101, 101, 101, 101, 101])
      packets[i][at] ^= 4
      const out = written(packets)
      const wrong = out.filter(({ packet, header }) => gsoType(header) === Gso.NONE && !isRight(packet))
      t.ok(wrong.length === 1 && Buffer.from(wrong[0].packet).equals(packets[i]), `byte ${at} of datagram ${i}`)
      const right = out.filter((one) => one !== wrong[0]).flatMap(({ packet, header }) => gsoType(header) === Gso.NONE ? [packet] : kernelDatagrams(packet, header))
      t.same(right.map(withoutId), packets.filter((_, at) => at !== i).map(withoutId))
    }
  }
})

t.test('a device that refuses large packets of UDP after all', async (t) => {
  let calls = 0
  const alone: Batch = []
  const joiner = new Joiner((bytes, length) => {
    calls++
    if (gsoType(bytes) !== Gso.NONE) return EINVAL
    alone.push(Uint8Array.from(bytes.subarray(VIRTIO_HEADER, length)))
    return 0
  }, ['udp'])
  const packets = datagrams([100, 100, 50])
  for (const tries of [4, 3]) {
    alone.length = calls = 0
    t.same(joiner.push(packets), { packets: 3, bytes: 334 })
    t.equal(calls, tries)
    t.same(alone, packets)
  }
  const broken = new Joiner(() => EIO, ['udp'])
  t.same(broken.push(packets), { packets: 0, bytes: 0 })
})

t.test('any bytes', async (t) => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ minLength: 20, maxLength: 100 }), { maxLength: 8 }), (batch) => {
    for (const packet of batch) packet.set([0x45, 0, 0, packet.length])
    for (const packet of batch) packet[9] = 17
    t.ok(written(batch).length <= batch.length)
  }), { numRuns: mutations() })
})

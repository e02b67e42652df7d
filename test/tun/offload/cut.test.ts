/** What becomes of the large packets of a kernel. */
import fc from 'fast-check'
import t from 'tap'
import { complete, cut } from '../../../src/tun/offload/cut.ts'
import { Gso, VIRTIO_HEADER } from '../../../src/tun/offload/virtio.ts'
import { PAGE, simdMemory, simdOf } from '../../../src/buffers/simd/memory.ts'
import type { Batch } from '../../../src/types.ts'
import { ACK, anyPacket, CWR, type Datagram, FIN, isRight, kernelHeader, largeOf, packetOf, PSH } from '../../helpers/tun/packets.ts'

const room = (length: number): Uint8Array => new Uint8Array(length)

const reached = new Uint8Array(simdMemory(6 * PAGE) as ArrayBuffer)
t.ok(simdOf(reached.buffer) !== undefined)

/** Cuts in memory of any kind, in such that SIMD functions reach, and from the latter to the former; the packets are those of the first. */
function cutOf (init: Datagram, size: number): Batch {
  const { packet, header } = largeOf(init, size)
  const out: Batch = []
  t.ok(cut(packet, header, room, out))
  for (const at of [16, 17]) { // at a multiple of four and elsewhere
    reached.fill(0xa5)
    reached.set(packet, at)
    const large = reached.subarray(at, at + packet.length)
    let used = at + packet.length
    const inPlace = (length: number): Uint8Array => {
      const from = used + 5
      used = from + length
      return used <= reached.length ? reached.subarray(from, used) : room(length)
    }
    for (const way of [inPlace, room]) {
      const same: Batch = []
      t.ok(cut(large, header, way, same))
      t.ok(same.length === out.length && same.every((packet, i) => Buffer.from(packet).equals(out[i])))
    }
    t.ok(reached.subarray(at + packet.length, at + packet.length + 5).every((byte) => byte === 0xa5) && Buffer.from(large).equals(packet))
  }
  return out
}

t.test('property: each packet is what the sender would have made without offload', async (t) => {
  fc.assert(fc.property(anyPacket, fc.integer({ min: 1, max: 2000 }), (init, size) => {
    const { id = 0, sequence = 0, flags = 0, payload } = init
    const packets = cutOf(init, size)
    const count = Math.ceil(payload.length / size)
    t.equal(packets.length, count)
    for (const [i, packet] of packets.entries()) {
      const expected = packetOf({
        ...init,
        id: (id + i) & 0xffff,
        sequence: (sequence + i * size) >>> 0,
        flags: i < count - 1 ? flags & ~(FIN | PSH) : flags,
        payload: payload.subarray(i * size, (i + 1) * size)
      })
      t.ok(Buffer.from(packet).equals(expected) && isRight(packet))
    }
  }), { numRuns: 200 })
})

t.test('FIN and PSH are in the last packet only, CWR in the first only', async (t) => {
  const flags = cutOf({ flags: ACK | FIN | PSH | CWR, payload: Buffer.alloc(2500, 'x') }, 1000).map((packet) => packet[33])
  t.same(flags, [ACK | CWR, ACK, ACK | FIN | PSH])
})

t.test('sequence numbers and identifications go over their ends', async (t) => {
  const packets = cutOf({ id: 0xffff, sequence: 0xffff_ff00, payload: Buffer.alloc(0x300) }, 0x100)
  t.same(packets.map((packet) => Buffer.from(packet).readUInt16BE(4)), [0xffff, 0, 1])
  t.same(packets.map((packet) => Buffer.from(packet).readUInt32BE(24)), [0xffff_ff00, 0, 0x100])
})

t.test('the largest packets', async (t) => {
  const payload = Buffer.alloc(65_535 - 40, 0xff)
  const packets = cutOf({ payload }, 1360)
  t.equal(packets.length, 49)
  t.ok(packets.every(isRight))
  t.ok(Buffer.concat(packets.map((packet) => packet.subarray(40))).equals(payload))
})

t.test('a checksum that the kernel has left to us', async (t) => {
  fc.assert(fc.property(anyPacket, (init) => {
    const { packet } = largeOf(init, 0)
    t.ok(complete(packet, kernelHeader(init, Gso.NONE, 0, init.version === 6 ? 40 : 20, init.isUdp === true ? 6 : 16)))
    t.ok(Buffer.from(packet).equals(packetOf(init)))
    const large = reached.subarray(16, 16 + packet.length)
    large.set(largeOf(init, 0).packet)
    t.ok(complete(large, kernelHeader(init, Gso.NONE, 0, init.version === 6 ? 40 : 20, init.isUdp === true ? 6 : 16)))
    t.ok(Buffer.from(large).equals(packet))
  }))
  const init = { payload: Buffer.from('x') }
  const packet = packetOf(init)
  t.ok(complete(packet, new Uint8Array(VIRTIO_HEADER)), 'none is missing')
  t.notOk(complete(packet, kernelHeader(init, Gso.NONE, 0, 20, packet.length - 21)), 'its field is not inside')
})

t.test('UDP has no checksum of 0', async (t) => {
  // so much in the payload that nothing is missing for a sum of 0xffff
  const init = { isUdp: true, payload: Buffer.alloc(2) }
  init.payload.set(packetOf(init).subarray(26, 28))
  t.same(packetOf(init).subarray(26, 28), Buffer.from('ffff', 'hex'))
  const [packet] = cutOf(init, 1000)
  t.same(Buffer.from(packet.subarray(26, 28)), Buffer.from('ffff', 'hex'))
})

t.test('a header that does not fit its packet', async (t) => {
  const { packet, header } = largeOf({ payload: Buffer.alloc(100) }, 10)
  const refused = (change: (packet: Uint8Array, header: Uint8Array) => void): void => {
    const [p, h] = [Uint8Array.from(packet), Uint8Array.from(header)]
    change(p, h)
    const out: Batch = []
    t.notOk(cut(p, h, room, out))
    t.same(out, [])
  }
  refused((_, header) => { header[1] = 0 })
  refused((_, header) => { header[1] = 4 })
  refused((_, header) => { header[1] = 5 })
  refused((_, header) => { header[1] = 3 })
  refused((_, header) => { header.fill(0, 4, 6) })
  refused((_, header) => { header.fill(0, 6, 8) })
  refused((_, header) => { header.fill(0xff, 6, 8) })
  refused((packet) => { packet[0] = 0x65 })
  refused((packet) => { packet[0] = 0x4f })
  refused((packet) => { packet[9] = 17 })
  refused((packet) => { packet[32] = 0x10 })
  const long = largeOf({ payload: Buffer.alloc(0) }, 10)
  t.notOk(cut(long.packet, long.header, room, []), 'no payload')
  t.test('any bytes', async (t) => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 20, maxLength: 200 }), fc.uint8Array({ minLength: 10, maxLength: 10 }), (packet, header) => {
      const out: Batch = []
      cut(packet, header, room, out)
      t.ok(out.length <= packet.length)
      complete(packet, header)
    }), { numRuns: 10_000 })
  })
})

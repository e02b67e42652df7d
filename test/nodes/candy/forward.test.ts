import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  forwardDestination, forwardSource, stripOuter, takeHop, unwrapForward, wrapForward, wrapRouted, writeOuter
} from '../../../src/nodes/candy/protocol/forward.ts'
import { headerChecks, writeHeader } from '../../../src/net/ipv4.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { address, vector } from '../../helpers/candy/vectors.ts'

const OWN = address('192.168.202.1')
const NEXTHOP = address('192.168.202.2')
const inner = hex(vector('forward_ipip_route').inputs.inner_hex)

/** A packet of this many bytes, all of them counted in its header. */
function packetOf (totalLength: number, protocol = 17): Uint8Array {
  const packet = new Uint8Array(totalLength).fill(0x5a)
  writeHeader(packet, { protocol, source: OWN, destination: NEXTHOP, totalLength })
  return packet
}

t.test('FORWARD, byte for byte', async (t) => {
  const { bytes, inputs } = vector('forward_icmp_echo')
  const packet = hex(inputs.ip_packet_hex)
  t.equal(toHex(wrapForward(packet)), toHex(bytes))
  t.equal(toHex(unwrapForward(bytes)), inputs.ip_packet_hex)
  t.equal(forwardSource(bytes), address(inputs.src))
  t.equal(forwardDestination(bytes), address(inputs.dst))
  t.equal(toHex(stripOuter(packet) ?? hex('')), inputs.ip_packet_hex, 'no outer header')
})

t.test('a FORWARD has 21 to 1500 bytes', async (t) => {
  const wrong = { code: 'ERR_CANDY_MESSAGE' }
  t.equal(wrapForward(new Uint8Array(20)).length, 21)
  t.equal(wrapForward(new Uint8Array(1499)).length, 1500)
  t.throws(() => wrapForward(new Uint8Array(19)), wrong)
  t.throws(() => wrapForward(new Uint8Array(1500)), wrong)
  t.equal(wrapRouted(new Uint8Array(1479), OWN, NEXTHOP).length, 1500)
  t.throws(() => wrapRouted(new Uint8Array(1480), OWN, NEXTHOP), wrong)
})

t.test('case 21: a packet to a pushed route', async (t) => {
  const { bytes } = vector('forward_ipip_route')
  const message = wrapRouted(inner, OWN, NEXTHOP)
  t.equal(toHex(message), toHex(bytes))
  t.equal(forwardSource(message), OWN)
  t.equal(forwardDestination(message), NEXTHOP)
  const stripped = stripOuter(unwrapForward(message))
  t.equal(toHex(stripped ?? hex('')), toHex(inner), 'exactly 20 bytes less')
})

t.test('the outer header is written over whatever was there', async (t) => {
  const target = new Uint8Array(24).fill(0xff)
  writeOuter(target, 2, OWN, NEXTHOP)
  t.equal(toHex(target), 'ffff' + '00'.repeat(9) + '040000' + 'c0a8ca01c0a8ca02' + 'ffff')
})

t.test('case 22: protocol 4 with nothing or garbage inside', async (t) => {
  const outer = new Uint8Array(20)
  writeOuter(outer, 0, OWN, NEXTHOP)
  const around = (...rest: number[]): Uint8Array => Uint8Array.from([...outer, ...rest])
  t.equal(stripOuter(outer), undefined, '20 bytes only')
  t.equal(stripOuter(packetOf(20, 4)), undefined, '20 bytes only, of a real header')
  t.equal(stripOuter(around(...inner.subarray(0, 19))), undefined, 'inner header cut')
  t.equal(stripOuter(around(...inner.subarray(0, -1))), undefined, 'inner packet shorter than it says')
  t.equal(stripOuter(around(...new Uint8Array(40))), undefined, 'zeros')
  t.equal(stripOuter(around(0x65, ...inner.subarray(1))), undefined, 'inner version 6')
  t.equal(stripOuter(around(0x44, ...inner.subarray(1))), undefined, 'inner header of 16 bytes')
  t.equal(stripOuter(around(...inner.subarray(0, 2), 0, 19, ...inner.subarray(4))), undefined, 'inner total length below its header')
  t.equal(stripOuter(around(...outer, ...inner)), undefined, 'it is removed once')
})

t.test('what has no outer header stays, when it is IPv4', async (t) => {
  const tunnel = packetOf(60, 4)
  t.equal(toHex(stripOuter(tunnel) ?? hex('')), toHex(tunnel), 'real IP-in-IP of a user')
  t.equal(stripOuter(packetOf(20))?.length, 20, 'a header alone')
  t.equal(stripOuter(Uint8Array.from([...packetOf(30), 1, 2, 3]))?.length, 30, 'confusion behind it')
  t.equal(stripOuter(packetOf(30).subarray(0, 29)), undefined, 'shorter than it says')
  t.equal(stripOuter(new Uint8Array(0)), undefined)
  t.equal(stripOuter(new Uint8Array(40)), undefined, 'version 0 of another protocol')
  t.equal(stripOuter(new Uint8Array(40).fill(0x60)), undefined, 'IPv6')
})

t.test('property: wrapping and unwrapping', async (t) => {
  const u32 = fc.nat(0xffff_ffff)
  fc.assert(fc.property(fc.integer({ min: 20, max: 1479 }), u32, u32, (length, own, nexthop) => {
    const packet = packetOf(length, 6)
    const routed = wrapRouted(packet, own, nexthop)
    deepEqual(forwardSource(routed), own)
    deepEqual(forwardDestination(routed), nexthop)
    deepEqual(stripOuter(unwrapForward(routed)), packet)
    deepEqual(stripOuter(unwrapForward(wrapForward(packet))), packet)
  }))
})

t.test('a hop off the TTL of a packet that is sent on', async (t) => {
  const packet = packetOf(40)
  t.ok(takeHop(packet))
  t.equal(packet[8], 63)
  t.ok(headerChecks(packet))

  const routed = unwrapForward(wrapRouted(packetOf(40), OWN, NEXTHOP))
  t.ok(takeHop(routed))
  t.equal(toHex(routed.subarray(0, 20)), '00000000000000000004' + '0000' + 'c0a8ca01' + 'c0a8ca02', 'the pseudo header stays')
  t.equal(routed[28], 63)
  t.ok(headerChecks(routed, 20))
  for (let ttl = 63; ttl > 1; ttl--) t.ok(takeHop(routed))
  t.equal(routed[28], 1)
  t.notOk(takeHop(routed), 'the last one')
  t.equal(routed[28], 1)

  const tunnel = packetOf(60, 4)
  t.ok(takeHop(tunnel))
  t.equal(tunnel[8], 63, 'of a tunnel of a user: that of the outer header')

  const short = packetOf(40).subarray(0, 39)
  for (const [dropped, why] of [
    [routed.subarray(0, 20), 'no inner packet'], [routed.subarray(0, 59), 'inner packet cut'], [short, 'cut'], [new Uint8Array(40), 'version 0, no pseudo header'],
    [packetOf(40).fill(0x60, 0, 1), 'IPv6'], [new Uint8Array(0), 'nothing']
  ] as const) {
    const before = toHex(dropped)
    t.notOk(takeHop(dropped), why)
    t.equal(toHex(dropped), before)
  }
})

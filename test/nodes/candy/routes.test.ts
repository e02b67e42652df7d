import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { decodeRoute, encodeRoutes, type Route } from '../../../src/nodes/candy/protocol/routes.ts'
import { cidrOf, formatCidr } from '../../../src/net/ipv4.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { address, cidr, vector } from '../../helpers/candy/vectors.ts'

const wrong = { code: 'ERR_CANDY_MESSAGE' }

const manyRoutes = (count: number): Route[] =>
  Array.from({ length: count }, (_, i) => ({ destination: cidr(`10.${i >> 8}.${i & 255}.0/24`), nexthop: i + 1 }))

t.test('ROUTE, byte for byte', async (t) => {
  const { bytes } = vector('route_two_entries')
  const routes = decodeRoute(bytes)
  t.same(routes.map(({ destination, nexthop }) => [formatCidr(destination), nexthop]), [
    ['172.16.1.0/24', address('192.168.202.1')],
    ['172.17.0.0/16', address('192.168.202.2')]
  ])
  t.same(encodeRoutes(routes).map(toHex), [toHex(bytes)])
})

t.test('case 19: 0, 1, 100, 101, 250 routes', async (t) => {
  for (const [count, sizes] of [[0, []], [1, [1]], [100, [100]], [101, [100, 1]], [250, [100, 100, 50]]] as const) {
    const routes = manyRoutes(count)
    const messages = encodeRoutes(routes)
    t.same(messages.map((message) => message[1]), sizes)
    t.ok(messages.every((message) => message.length === 4 + 12 * message[1] && message.length <= 1500))
    t.same(messages.flatMap(decodeRoute), routes, 'order kept')
  }
})

t.test('case 20: a count larger than the body', async (t) => {
  const { bytes } = vector('route_two_entries')
  bytes[1] = 3
  t.throws(() => decodeRoute(bytes), wrong)
  bytes[1] = 255
  t.throws(() => decodeRoute(bytes), wrong)
  t.throws(() => decodeRoute(hex('06010000')), wrong)
  bytes[1] = 2
  t.throws(() => decodeRoute(bytes.subarray(0, -1)), wrong, 'last entry cut')
  bytes[1] = 1
  t.equal(decodeRoute(bytes).length, 1, 'the rest is confusion')
  t.same(decodeRoute(hex('06000000')), [])
})

t.test('case 20: a mask with holes voids the whole message', async (t) => {
  for (const mask of ['ff00ff00', '00000001', '00ffffff', 'fffffffd', '7fffffff']) {
    t.throws(() => decodeRoute(hex(`06020000 ac100000ffff0000c0a8ca01 ac110000${mask}c0a8ca02`)), wrong, mask)
  }
})

t.test('host bits are cleared, edge masks are masks', async (t) => {
  const [first, second] = decodeRoute(hex('0602beef ac100105ffffff00c0a8ca01 ac11000000000000c0a8ca02'))
  t.equal(formatCidr(first.destination), '172.16.1.0/24')
  t.equal(formatCidr(second.destination), '0.0.0.0/0')
  t.equal(formatCidr(decodeRoute(hex('06010000 ac100105ffffffffc0a8ca01'))[0].destination), '172.16.1.5/32')
})

t.test('property: decoding brings back what was encoded', async (t) => {
  const route = fc.tuple(fc.nat(0xffff_ffff), fc.nat(32), fc.nat(0xffff_ffff)).map(([at, prefix, nexthop]) =>
    ({ destination: cidrOf(cidrOf(at, prefix).network, prefix), nexthop }))
  fc.assert(fc.property(fc.array(route, { maxLength: 210 }), (routes) => {
    deepEqual(encodeRoutes(routes).flatMap(decodeRoute), routes)
  }))
})

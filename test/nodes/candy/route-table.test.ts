import { deepEqual, equal } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { RouteTable, TABLE_LIMIT } from '../../../src/nodes/candy/protocol/route-table.ts'
import type { Route } from '../../../src/nodes/candy/protocol/routes.ts'
import { cidrOf, formatCidr } from '../../../src/net/ipv4.ts'
import { address, cidr } from '../../helpers/candy/vectors.ts'

const route = (destination: string, nexthop: string): Route => ({ destination: cidr(destination), nexthop: address(nexthop) })

function tableOf (own: string, ...routes: Array<[destination: string, nexthop: string]>): RouteTable {
  const table = new RouteTable(cidr(own))
  for (const [destination, nexthop] of routes) table.add(route(destination, nexthop))
  return table
}

const OWN = '10.77.0.3/24'
const [A, B] = ['10.77.0.1', '10.77.0.2']

t.test('the first match counts, not the narrowest', async (t) => {
  const table = tableOf(OWN, ['172.16.0.0/12', A], ['172.17.0.0/16', B], ['192.168.5.7/32', B], ['192.168.0.0/16', A])
  for (const [destination, nexthop] of [
    ['172.15.255.255', 0], ['172.16.0.0', A], ['172.17.0.9', A], ['172.31.255.255', A], ['172.32.0.0', 0],
    ['192.168.5.6', A], ['192.168.5.7', B], ['192.168.5.8', A], ['8.8.8.8', 0]
  ] as const) t.equal(table.nexthopOf(address(destination)), nexthop === 0 ? 0 : address(nexthop), destination)
})

t.test('an answer is remembered, and forgotten when a route comes', async (t) => {
  const table = tableOf(OWN)
  const far = address('172.16.0.9')
  t.equal(table.nexthopOf(far), 0)
  t.equal(table.nexthopOf(far), 0)
  table.add(route('172.16.0.0/16', A))
  t.equal(table.nexthopOf(far), address(A))
  t.equal(table.nexthopOf(far), address(A))
  t.equal(table.nexthopOf(address('172.17.0.9')), 0)
  t.equal(table.nexthopOf(far), address(A))
})

t.test('a route to everything leaves members, broadcasts and multicasts alone', async (t) => {
  const table = tableOf(OWN, ['0.0.0.0/0', A])
  for (const destination of ['0.0.0.0', '10.77.0.0', '10.77.0.3', '10.77.0.200', '10.77.0.255', '224.0.0.0', '224.0.0.251', '239.255.255.255', '255.255.255.255']) {
    t.equal(table.nexthopOf(address(destination)), 0, destination)
  }
  for (const destination of ['0.0.0.1', '10.76.255.255', '10.77.1.0', '223.255.255.255', '240.0.0.0', '255.255.255.254']) {
    t.equal(table.nexthopOf(address(destination)), address(A), destination)
  }
  t.equal(tableOf('10.77.0.3/32', ['0.0.0.0/0', A]).nexthopOf(address('10.77.0.4')), address(A), 'a network of one address')
})

t.test('what it has, and how much it takes', async (t) => {
  const table = tableOf(OWN, ['172.16.0.0/16', A])
  t.ok(table.has(cidr('172.16.0.0/16')))
  t.notOk(table.has(cidr('172.16.0.0/17')))
  for (let i = 1; i < TABLE_LIMIT; i++) table.add(route(`10.${i >> 8}.${i & 255}.0/24`, B))
  t.equal(table.size, 1024)
  t.throws(() => { table.add(route('192.168.0.0/16', A)) }, RangeError)
  t.equal(table.size, 1024)
  t.equal(table.nexthopOf(address('10.3.255.9')), address(B), 'the last one counts')
  t.equal(table.nexthopOf(address('192.168.0.1')), 0)
})

const bits = (number: number): string => number.toString(2).padStart(32, '0')

/** What a table should say, found by comparing digits. */
function oracle (own: string, ownPrefix: number, routes: readonly Route[], destination: number): number {
  const digits = bits(destination)
  if (digits === bits(0) || digits === bits(0xffff_ffff) || digits.startsWith('1110') || digits.startsWith(own.slice(0, ownPrefix))) return 0
  return routes.find((one) => digits.startsWith(bits(one.destination.network).slice(0, one.destination.prefix)))?.nexthop ?? 0
}

t.test('property: as a naive table', async (t) => {
  const u32 = fc.nat(0xffff_ffff)
  // few addresses, so that networks overlap and addresses are in them
  const near = fc.tuple(fc.constantFrom(0x0a4d0000, 0xac100000, 0xffffff00, 0xdfffff00, 0), fc.nat(0x3ff)).map(([base, low]) => (base + low) % 2 ** 32)
  const some = fc.oneof(near, u32)
  const anyRoute = fc.tuple(some, fc.nat(32), fc.integer({ min: 1, max: 0xffff_ffff })).map(([at, prefix, nexthop]) => ({ destination: cidrOf(cidrOf(at, prefix).network, prefix), nexthop }))
  fc.assert(fc.property(some, fc.nat(32), fc.array(anyRoute, { maxLength: 40 }), fc.array(some, { minLength: 1 }), (own, prefix, routes, destinations) => {
    const table = new RouteTable(cidrOf(own, prefix))
    const added: Route[] = []
    for (const one of routes) {
      equal(table.has(one.destination), added.some(({ destination }) => formatCidr(destination) === formatCidr(one.destination)))
      table.add(one)
      added.push(one)
      for (const destination of [...destinations, one.destination.network, one.destination.broadcast]) {
        equal(table.nexthopOf(destination), oracle(bits(own), prefix, added, destination))
      }
    }
    deepEqual(table.routes, routes)
  }), { numRuns: 300 })
})

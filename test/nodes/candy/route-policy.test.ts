import fc from 'fast-check'
import t from 'tap'
import { RoutePolicy } from '../../../src/nodes/candy/peer/route-policy.ts'
import { cidrOf, inNetwork } from '../../../src/net/ipv4.ts'
import { address, cidr } from '../../helpers/candy/vectors.ts'

const OWN = cidr('10.77.0.3/24')

/** Why a route is not taken, and what would take it; '' when it is taken. */
function told (option: string, destination: string, { nexthop = '10.77.0.2', server = '203.0.113.9' as string | undefined, own = OWN } = {}): string {
  const rejection = new RoutePolicy(option).rejection({ destination: cidr(destination), nexthop: address(nexthop) }, { own, server: server === undefined ? undefined : address(server) })
  return rejection === undefined ? '' : [rejection.reason, rejection.takenBy].filter((part) => part !== undefined).join('; ')
}

t.test('private networks', async (t) => {
  for (const network of ['10.0.0.0/8', '10.1.2.3/32', '172.16.0.0/12', '172.31.255.0/24', '192.168.0.0/16', '192.168.1.0/24', '100.64.0.0/10', '100.127.255.255/32', '10.77.0.0/16']) {
    t.equal(told('private', network), '', network)
  }
  for (const network of ['8.8.8.0/24', '172.32.0.0/16', '172.0.0.0/8', '192.168.0.0/15', '100.0.0.0/8', '11.0.0.0/8', '169.254.0.0/16', '169.254.169.254/32', '8.0.0.0/7']) {
    t.equal(told('private', network), `it is no private network; routes: private,${network}`, network)
    t.equal(told(`private,${network}`, network), '', 'the option that was told takes it')
  }
})

t.test('all, none, and networks', async (t) => {
  t.equal(told('all', '8.8.8.0/24'), '')
  t.equal(told('all', '169.254.0.0/16'), '')
  t.equal(told('none', '10.1.0.0/16'), 'no routes are taken; routes: 10.1.0.0/16')
  t.equal(told('10.1.0.0/16,8.8.8.0/24', '10.1.0.0/16'), '')
  t.equal(told('10.1.0.0/16,8.8.8.0/24', '10.1.7.0/24'), '')
  t.equal(told('10.1.0.0/16,8.8.8.0/24', '8.8.8.8/32'), '')
  t.equal(told('10.1.0.0/16,8.8.8.0/24', '10.0.0.0/15'), 'it is in none of the networks that are allowed; routes: 10.1.0.0/16,8.8.8.0/24,10.0.0.0/15')
  t.equal(told('8.8.8.0/24', '192.168.1.0/24'), 'it is in none of the networks that are allowed; routes: 8.8.8.0/24,192.168.1.0/24')
  t.equal(told('private,8.8.8.0/24', '192.168.1.0/24'), '')
})

t.test('a default route takes all', async (t) => {
  for (const option of ['private', 'none', '8.0.0.0/8', 'private,8.0.0.0/8']) t.equal(told(option, '0.0.0.0/0'), 'it is a default route; routes: all')
  t.equal(told('all', '0.0.0.0/0'), '', 'although the server is in it')
})

t.test('what is never taken', async (t) => {
  for (const option of ['all', 'private', 'none', '0.0.0.0/8,127.0.0.0/8,224.0.0.0/4,192.0.2.0/24']) {
    for (const [network, never] of [
      ['0.0.0.0/8', '0.0.0.0/8'], ['0.1.2.3/32', '0.0.0.0/8'], ['127.0.0.0/8', '127.0.0.0/8'], ['127.0.0.1/32', '127.0.0.0/8'],
      ['224.0.0.0/4', '224.0.0.0/4'], ['239.1.0.0/16', '224.0.0.0/4'], ['255.255.255.255/32', '255.255.255.255/32'], ['240.0.0.0/4', '255.255.255.255/32'],
      ['0.0.0.0/1', '0.0.0.0/8'], ['128.0.0.0/1', '224.0.0.0/4'], ['64.0.0.0/2', '127.0.0.0/8']
    ]) t.equal(told(option, network), `${never} is never routed`, `${option}: ${network}`)
    for (const network of ['192.0.2.0/24', '192.0.2.1/32', '192.0.0.0/8']) {
      t.equal(told(option, network, { server: '192.0.2.1' }), 'the server is in it, 192.0.2.1: the connection would be cut', `${option}: ${network}`)
    }
    for (const network of ['10.77.0.0/24', '10.77.0.128/25', '10.77.0.9/32']) t.equal(told(option, network), 'it is in our own network 10.77.0.0/24', `${option}: ${network}`)
  }
  t.equal(told('all', '192.0.2.0/24', { server: '192.0.3.1' }), '')
  t.equal(told('all', '192.0.2.0/24', { server: undefined }), '', 'a server that is reached by IPv6')
  t.equal(told('private', '10.77.0.0/24', { own: cidr('10.77.0.3/32') }), '')
})

t.test('a next hop is one member', async (t) => {
  for (const nexthop of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '10.77.0.255', '10.77.0.0']) {
    t.equal(told('all', '172.16.0.0/16', { nexthop }), `its next hop ${nexthop} is no host`)
  }
  t.equal(told('all', '172.16.0.0/16', { nexthop: '10.78.0.1' }), '', 'also outside of our own network')
  t.equal(told('all', '172.16.0.0/16', { nexthop: '10.77.0.0', own: cidr('10.77.0.1/31') }), '')
})

t.test('options that cannot be', async (t) => {
  for (const option of ['', 'some', 'All', 'private,', ',private', 'private,none', 'all,private', '10.1.0.0', '10.1.0.1/16', '10.1.0.0/33', '0.0.0.0/0', 'private,0.0.0.0/0', '10.1.0.0/16 ', '::/0', '0']) {
    t.throws(() => new RoutePolicy(option), { code: 'ERR_OPTION', message: /^routes: /, option: 'routes', detail: /^(no network \(|host bits in 10\.1\.0\.1\/16$|all networks \(0\.0\.0\.0\/0\) is written all$)/ }, JSON.stringify(option))
  }
})

t.test('property: whatever is taken under private or networks is in what was allowed, and cuts nothing', async (t) => {
  const allowed = { private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'], '10.1.0.0/16,8.0.0.0/7': ['10.1.0.0/16', '8.0.0.0/7'] }
  const near = fc.tuple(fc.constantFrom(0x0a010000, 0x0a4d0000, 0xac100000, 0xc0a80000, 0x64400000, 0x08000000, 0x7f000000, 0), fc.nat(0xffff)).map(([base, low]) => base + low)
  const u32 = fc.oneof(near, fc.nat(0xffff_ffff))
  for (const [option, networks] of Object.entries(allowed)) {
    const policy = new RoutePolicy(option)
    let taken = 0
    fc.assert(fc.property(u32, fc.nat(32), u32, u32, (at, prefix, nexthop, server) => {
      const { network, broadcast } = cidrOf(at, prefix)
      const destination = cidrOf(network, prefix)
      if (policy.rejection({ destination, nexthop }, { own: OWN, server }) !== undefined) return true
      taken++
      const inside = networks.map(cidr).some((one) => inNetwork(network, one) && inNetwork(broadcast, one))
      return inside && !inNetwork(server, destination) && !(inNetwork(network, OWN) && inNetwork(broadcast, OWN))
    }), { numRuns: 2000 })
    t.ok(taken > 50, `${taken} were taken`)
  }
})

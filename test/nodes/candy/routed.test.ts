/** Packets behind an outer header: where a relay lets them go, with one worker and with two, and what a peer takes. */
import t from 'tap'
import { wrapForward, wrapRouted, OUTER_LENGTH } from '../../../src/nodes/candy/protocol/forward.ts'
import { IngressFilter } from '../../../src/nodes/candy/protocol/ingress-filter.ts'
import { parseCidr, type Cidr } from '../../../src/net/ipv4.ts'
import { toHex } from '../../helpers/bytes.ts'
import { addr, packet, PASSWORD } from '../../helpers/candy/client.ts'
import { until } from '../../helpers/ends.ts'
import { sharedBindProblem } from '../../../src/net/native/reuse-port.ts'
import { serve, type Located } from '../../helpers/candy/crew.ts'
import { systemClock } from '../../../src/streams/clock.ts'

const RULES = '10.77.0.2/32,172.16.0.0/16,10.77.0.1;10.77.0.2/32,172.17.0.0/16,10.77.0.3;10.77.0.0/24,172.18.0.0/16,10.77.0.9'

const routed = (destination: string, nexthop: string, source = '10.77.0.2'): Uint8Array => wrapRouted(packet(source, destination), addr(source), addr(nexthop))

/** A tunnel of a user: existing clients take off its first header as well. */
function tunnelled (destination: string, nexthop: string): Uint8Array {
  const inner = packet('10.77.0.2', destination)
  const whole = packet('10.77.0.2', nexthop, OUTER_LENGTH + inner.length)
  whole[9] = 4
  whole.set(inner, OUTER_LENGTH)
  return wrapForward(whole.subarray(0, OUTER_LENGTH + inner.length))
}

const workerCounts = await sharedBindProblem() === undefined ? [1, 2] : [1]

for (const workers of workerCounts) {
  t.test(`a member reaches behind another one only what a rule of its own leads to that way, ${workers} workers`, async (t) => {
    const network = { password: PASSWORD, dhcp: '10.77.0.0/24', sdwan: RULES }
    const crew = await serve(t, { workers, networks: [{ path: '/on', ...network }, { path: '/strict', ...network, sourceCheck: 'strict' }, { path: '/off', ...network, sourceCheck: 'off' }] })
    const join = async (path: string): Promise<Record<'gateway' | 'member' | 'other', Located>> => {
      // Gateways on every worker: the sender's one has to know of its rules wherever its next hop is.
      const gateway = await crew.join('10.77.0.1', path)
      const other = await crew.join('10.77.0.3', path)
      const member = await crew.join('10.77.0.2', path)
      await member.client.settled()
      member.client.inbox.length = 0
      return { gateway, member, other }
    }
    const good = [routed('172.16.2.5', '10.77.0.1'), routed('172.16.0.1', '10.77.0.1'), routed('10.77.0.1', '10.77.0.1')]
    const bad = [
      routed('172.17.2.5', '10.77.0.1'), // by the next hop of another rule
      routed('192.168.1.1', '10.77.0.1'),
      routed('8.8.8.8', '10.77.0.1'),
      routed('127.0.0.1', '10.77.0.1'),
      routed('255.255.255.255', '10.77.0.1'),
      routed('224.0.0.251', '10.77.0.1'),
      routed('0.0.0.0', '10.77.0.1'),
      routed('10.77.0.3', '10.77.0.1'),
      routed('172.16.2.5', '255.255.255.255'),
      routed('10.77.0.255', '10.77.0.255'),
      tunnelled('192.168.1.1', '10.77.0.1')
    ]
    for (const path of ['/on', '/strict']) {
      const { gateway, member, other } = await join(path)
      member.client.send(...bad, ...good, routed('172.17.9.9', '10.77.0.3'))
      // The same is no matter of one rule for all: who has none gets nowhere.
      other.client.send(routed('172.16.2.5', '10.77.0.1', '10.77.0.3'))
      await until(() => gateway.client.inbox.length >= good.length && other.client.inbox.length >= 1 && crew.stats(path).drops.route >= bad.length + 1)
      const taken = ({ client }: Located): string[] => client.inbox.filter(([type]) => type === 1).map(toHex)
      t.same(taken(gateway), good.map(toHex), path)
      t.same(taken(other), [toHex(routed('172.17.9.9', '10.77.0.3'))])
      t.match(crew.stats(path).drops, { route: bad.length + 1, source: 0 })
    }
    const { gateway, member } = await join('/off')
    member.client.send(bad[1], bad[2])
    await until(() => gateway.client.inbox.filter(([type]) => type === 1).length === 2)
    t.equal(crew.stats('/off').drops.route, 0)
  })
}

t.test('rules that are taken away are not gone by any more', async (t) => {
  const init = { listen: 'ws://127.0.0.1:0', password: PASSWORD, dhcp: '10.77.0.0/24' }
  const crew = await serve(t, { ...init, workers: 1, sdwan: '10.77.0.2/32,172.16.0.0/16,10.77.0.1' })
  const gateway = await crew.join('10.77.0.1')
  const first = await crew.join('10.77.0.2')
  first.client.send(routed('172.16.2.5', '10.77.0.1'))
  await gateway.client.next()
  crew.server.relay.configure(init)
  await first.client.closed
  const again = await crew.join('10.77.0.2')
  again.client.send(routed('172.16.2.5', '10.77.0.1'))
  await until(() => crew.stats().drops.route === 1)
  t.same(gateway.client.inbox, [])
})

t.test('a peer lets in what is for itself, and for the networks that routes lead to through it', async (t) => {
  const state = { addresses: new Set([addr('10.77.0.1'), addr('192.168.5.7')]), broadcasts: new Set([addr('192.168.5.255'), addr('192.168.5.0'), addr('10.77.0.255')]), forwards: false }
  const own = addr('10.77.0.1')
  const known = [parseCidr('172.16.0.0/16'), parseCidr('192.168.5.0/24')] as Cidr[]
  const may = (destination: string, through: Cidr[], forwards: boolean): boolean => new IngressFilter('x', systemClock, () => ({ ...state, forwards })).accepts(addr(destination), own, through)
  for (const forwards of [true, false]) {
    t.ok(may('10.77.0.1', known, forwards), 'its own address')
    t.ok(may('10.77.0.1', [], forwards))
    for (const destination of ['172.16.2.5', '192.168.5.9', '192.168.5.7']) t.ok(may(destination, known, forwards), destination)
    for (const destination of ['172.17.0.1', '8.8.8.8', '192.168.6.1']) t.notOk(may(destination, known, forwards), `${destination}, known rules`)
    for (const destination of ['192.168.5.255', '192.168.5.0', '10.77.0.255', '255.255.255.255', '224.0.0.251', '127.0.0.1', '0.0.0.0']) {
      for (const through of [known, []]) t.notOk(may(destination, through, forwards), destination)
    }
    t.equal(may('172.16.2.5', [], forwards), forwards, 'without known rules the system decides')
    t.ok(may('192.168.5.7', [], forwards), 'an address of this machine')
  }
})

/** What a controlled peer does when its server wants a path: within bounds, of each other peer and in all. */
import t from 'tap'
import { Answering } from '../../../../src/nodes/rustdesk/peer/answering.ts'
import { NatType } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import { mangleAddress } from '../../../../src/nodes/rustdesk/protocol/mangled-address.ts'
import { rendezvous, type RendezvousMessage } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import type { PeerLink } from '../../../../src/nodes/rustdesk/peer/transport.ts'
import { LinkClosedError } from '../../../../src/errors.ts'
import { silent } from '../../../../src/log.ts'
import { VirtualClock } from '../../../../src/streams/virtual-clock.ts'

const SERVER = { host: '198.51.100.1', port: 21_116 }

/** One whose connections to the server are never made, so that no attempt ends before it is closed. */
function stuck (): { answering: Answering, clock: VirtualClock, push (host: string, port: number): void, asked (): number } {
  const clock = new VirtualClock()
  let asked = 0
  let giveUp: Array<(err: Error) => void> = []
  const transport = {
    dial: async () => await new Promise<PeerLink>((_resolve, reject) => {
      asked++
      giveUp.push(reject)
    }),
    listen: () => { throw new Error('not used') }
  }
  const answering = new Answering({
    transport,
    clock,
    log: silent,
    server: SERVER,
    dial: async () => ({ transport, clock, server: SERVER }),
    id: '123456789',
    key: 'key',
    relay: undefined,
    isDirect: true,
    natType: () => NatType.asymmetric,
    micros: () => 0,
    onReached: async () => false
  })
  t.teardown(() => {
    for (const end of giveUp) end(new LinkClosedError('the test is over'))
    giveUp = []
  })
  return {
    answering,
    clock,
    push (host, port) { answering.take(rendezvous.decode(rendezvous.encode({ punch_hole: { socket_addr: mangleAddress({ host, port }, 0) } })) as RendezvousMessage) },
    asked: () => asked
  }
}

t.test('one address does not take all of the attempts', async (t) => {
  const { answering, clock, push, asked } = stuck()
  for (let i = 0; i < 64; i++) push('203.0.113.1', 1000 + i)
  await clock.pass(1)
  t.equal(asked(), 16)
  t.match(answering.stats, { pushes: 64, dropped: 48 })
  for (let i = 0; i < 64; i++) push(`2001:db8::${i.toString(16)}`, 1000)
  await clock.pass(1)
  t.equal(asked(), 32, 'an IPv6 /64 is one')
  push('203.0.113.2', 1000)
  await clock.pass(1)
  t.equal(asked(), 33)
})

t.test('all together are bounded, and those that begin', async (t) => {
  const { clock, push, asked } = stuck()
  for (let i = 0; i < 200; i++) push(`203.0.113.${i}`, 1000)
  await clock.pass(1)
  t.equal(asked(), 64)
  await clock.pass(10_000)
  push('203.0.113.250', 1000)
  await clock.pass(1)
  t.equal(asked(), 64)
})

import t from 'tap'
import { greeting, readGreeting } from '../../../src/nodes/candy/protocol/greeting.ts'
import { OriginalClient } from '../../../src/nodes/candy/relay/original-client.ts'
import type { Member } from '../../../src/nodes/candy/relay/member.ts'
import { newTraffic, type Traffic } from '../../../src/nodes/candy/relay/stats.ts'
import type { RecoverFramesInit, WebSocketLink } from '../../../src/transforms/websocket-frames/link.ts'

const ORIGINAL = Buffer.from('candy::linux::6.1.8::host')

function make (): { client: OriginalClient, calls: unknown[], traffic: Traffic } {
  const calls: unknown[] = []
  const traffic = newTraffic()
  const link = {
    wholeFrames (isOn: boolean) { calls.push(isOn) },
    recoverFrames (init: RecoverFramesInit | undefined) {
      calls.push(init === undefined ? 'strict' : 'recover')
      init?.onResync(100)
    }
  }
  return { client: new OriginalClient(link as WebSocketLink, { address: 1, traffic } as Member), calls, traffic }
}

t.test('an original client that greets, before or after it has an address', async (t) => {
  const first = make()
  first.client.greeted(ORIGINAL)
  t.same(first.calls, [], 'nothing is sent to one without an address')
  first.client.joined(0)
  t.same(first.calls, [true, 'recover'])
  t.equal(first.traffic.resyncs, 1)
  const { client, calls } = make()
  client.joined(0)
  t.same(calls, [true], 'whole frames at once, as one that was cut would be enough to lose it')
  client.greeted(ORIGINAL)
  t.same(calls, [true, 'recover'])
  client.greeted(Buffer.from(greeting('host')))
  client.joined(10)
  client.tick(5000)
  t.same(calls, [true, 'recover'], 'once; the first greeting counts')
})

t.test('our own peer gets batches as soon as it has said what it is', async (t) => {
  const { client, calls } = make()
  client.joined(0)
  client.greeted(Buffer.from(greeting('host')))
  t.same(calls, [true, false])
  client.tick(5000)
  client.greeted(ORIGINAL)
  t.same(calls, [true, false])
  const early = make()
  early.client.greeted(Buffer.from(greeting('host')))
  early.client.joined(0)
  t.same(early.calls, [])
})

t.test('one that has not greeted within a second passes for an original one', async (t) => {
  const { client, calls } = make()
  client.tick(5000)
  client.joined(5000)
  client.greeted(Buffer.from('no greeting'))
  client.greeted(Buffer.alloc(0))
  client.tick(5999)
  t.same(calls, [true])
  client.tick(6000)
  t.same(calls, [true, 'recover'])
  client.tick(7000)
  client.greeted(Buffer.from(greeting('host')))
  t.same(calls, [true, 'recover', false, 'strict'], 'until it greets, however late')
})

t.test('what is no greeting of a program', async (t) => {
  for (const ping of ['', 'candy', 'candy::linux', 'candy::linux::', 'sweets::linux::6.1.8::host']) {
    const { client, calls } = make()
    client.joined(0)
    client.greeted(Buffer.from(ping))
    t.same(calls, [true], ping)
  }
})

t.test('a link that can do none of that', async (t) => {
  const client = new OriginalClient({} as WebSocketLink, { address: 1, traffic: newTraffic() } as Member)
  client.greeted(ORIGINAL)
  client.joined(0)
  t.pass()
})

t.test('a greeting is read in one way, whoever asks: the relay, its workers, and what an original client is told by', async (t) => {
  for (const [ping, client, version] of [
    ['candy::linux::6.1.8::host', 'linux::6.1.8::host', '6.1.8'],
    ['candy::linux::6.1.8', 'linux::6.1.8', '6.1.8'],
    ['candy::linux', 'linux', ''],
    ['candy::', '', ''],
    ['candy::linux::::host', 'linux::::host', ''],
    ['candy::linux::6::東京::x', 'linux::6::東京::x', '6'],
    ['candy:linux', undefined, undefined],
    ['candyfloss::linux::6', undefined, undefined],
    ['sent 1', undefined, undefined],
    ['', undefined, undefined]
  ] as Array<[ping: string, client?: string, version?: string]>) {
    const padded = Buffer.from(`..${ping}..`).subarray(2, -2) // a view into something larger, as payloads are
    t.same(readGreeting(padded), client === undefined ? undefined : { client, version }, ping)
    const { client: original, calls } = make()
    original.joined(0)
    original.greeted(padded)
    t.equal(calls.includes('recover'), version !== undefined && version !== '', `${ping}: known for an original client`)
  }
  t.same(readGreeting(Buffer.from(greeting('host')))?.client, greeting('host').replace('candy::', ''))
})

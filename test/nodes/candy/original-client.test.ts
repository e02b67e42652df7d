import t from 'tap'
import { greeting } from '../../../src/nodes/candy/greeting.ts'
import { OriginalClient } from '../../../src/nodes/candy/original-client.ts'
import type { WebSocketLink } from '../../../src/transforms/websocket-frames/index.ts'

const ORIGINAL = Buffer.from('candy::linux::6.1.8::host')

function make (): { client: OriginalClient, calls: () => number } {
  let calls = 0
  const link = { wholeFrames () { calls++ } } as unknown as WebSocketLink
  return { client: new OriginalClient(link), calls: () => calls }
}

t.test('an original client is written to in whole frames once it has an address and has greeted, in either order', async (t) => {
  for (const order of [['greeted', 'joined'], ['joined', 'greeted']]) {
    const { client, calls } = make()
    for (const event of order) {
      t.equal(calls(), 0)
      if (event === 'joined') client.joined(0)
      else client.greeted(ORIGINAL)
    }
    t.equal(calls(), 1)
    client.greeted(ORIGINAL)
    client.joined(10)
    client.tick(5000)
    t.equal(calls(), 1, 'once')
  }
})

t.test('our own peer is not, however late it is', async (t) => {
  const { client, calls } = make()
  client.greeted(Buffer.from(greeting('host')))
  client.joined(0)
  client.tick(5000)
  client.greeted(ORIGINAL)
  t.equal(calls(), 0, 'the first greeting counts')
})

t.test('one that has not greeted a second after it has got its address', async (t) => {
  const { client, calls } = make()
  client.tick(5000)
  t.equal(calls(), 0, 'without an address nothing is sent to it')
  client.joined(5000)
  client.greeted(Buffer.from('no greeting'))
  client.greeted(Buffer.alloc(0))
  client.tick(5999)
  t.equal(calls(), 0)
  client.tick(6000)
  t.equal(calls(), 1)
})

t.test('a link that cannot do it', async (t) => {
  const client = new OriginalClient({} as WebSocketLink)
  client.greeted(ORIGINAL)
  client.joined(0)
  t.pass()
})

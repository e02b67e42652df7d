/** Links in pipelines, with every transport, bare and under a stack. */
import t, { type Test } from 'tap'
import { pipelines, type Pair } from '../helpers/transports/pipelines.ts'
import { wireSubjects } from '../helpers/transports/subjects.ts'
import { endsWith, open } from '../helpers/ends.ts'
import { over, stack } from '../../src/layer.ts'
import { checksum } from '../../src/transforms/checksum.ts'
import { confusionPadding } from '../../src/transforms/confusion-padding.ts'
import { controlFrames } from '../../src/transforms/control-frames.ts'
import { u32be } from '../../src/transforms/length-codecs.ts'
import { lengthPrefix } from '../../src/transforms/length-prefix.ts'
import { SequentialStreams } from '../../src/transforms/sequential-streams/index.ts'
import { linkPair } from '../helpers/transforms/link-mux.ts'
import { websocketFrames } from '../../src/transforms/websocket-frames/index.ts'
import { memoryNetwork, memoryPair } from '../../src/transports/memory/index.ts'
import type { Layer, Transport } from '../../src/types.ts'

const transports: Array<{ name: string, make: () => Transport }> = [
  { name: 'memory', make: () => memoryNetwork() },
  ...wireSubjects().map(({ name, make }) => ({ name, make: () => make() }))
]

const stacks: Array<{ name: string, layer: Layer }> = [
  { name: 'bare', layer: (link) => link },
  { name: 'length and checksum', layer: stack(lengthPrefix(u32be, { maxFrame: 100_000 }), checksum('crc32')) },
  { name: 'three layers', layer: stack(lengthPrefix(u32be, { maxFrame: 100_000 }), checksum('crc32'), confusionPadding()) },
  { name: 'control frames', layer: controlFrames(u32be, { maxFrame: 100_000 }) }
]

for (const { name, make } of transports) {
  for (const { name: above, layer } of stacks) {
    t.test(`${name}, ${above}`, async (t) => {
      pipelines(t, async (t): Promise<Pair> => {
        const transport = make()
        const { client, server } = await open(t, transport)
        return { client: over(client, layer), server: over(server, layer), halfClose: transport.capabilities.halfClose, tellsAborts: name !== 'tls' }
      })
    })
  }
}

t.test('websocket frames over a memory link', async (t) => {
  pipelines(t, async (t) => {
    const [client, server] = memoryPair().map((link) => endsWith(t, link))
    return { client: over(client, websocketFrames({ role: 'client' })), server: over(server, websocketFrames({ role: 'server' })), halfClose: false }
  })
})

for (const credit of [true, false]) {
  t.test(`a link among others, ${credit ? 'with' : 'without'} credit`, async (t) => {
    pipelines(t, async (t) => ({ ...await linkPair(t, { codec: { credit } }), halfClose: credit }))
  })
}

t.test('a link that follows others', async (t) => {
  async function pair (t: Test): Promise<Pair> {
    const [a, b] = memoryPair().map((link) => new SequentialStreams(endsWith(t, link)))
    const client = a.open(Buffer.from('opening'))
    const server = (await b.accept())?.link
    if (server === undefined) throw new Error('not opened')
    return { client, server, halfClose: true }
  }
  const { client, server } = await pair(t)
  t.equal(typeof client.sink, 'function')
  t.not(client.sink, server.sink)
})

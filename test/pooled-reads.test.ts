/** Lent memory, overwritten as soon as lending allows: no layer hands up anything of it later. */
import t from 'tap'
import { pieces, from } from './helpers/links.ts'
import { consume } from '../src/streams/consume.ts'
import { codec, over, stack } from '../src/layer.ts'
import { checksum } from '../src/transforms/checksum.ts'
import { confusionPadding } from '../src/transforms/confusion-padding.ts'
import { controlFrames } from '../src/transforms/control-frames.ts'
import { firstFrame } from '../src/transforms/first-frame.ts'
import { json } from '../src/transforms/json.ts'
import { u16be, u32be } from '../src/transforms/length-codecs.ts'
import { lengthPrefix } from '../src/transforms/length-prefix.ts'
import { websocketFrames } from '../src/transforms/websocket-frames/index.ts'
import { wrapLink } from '../src/streams/wrap-link.ts'
import { recordingLink } from './helpers/links.ts'
import type { Batch, Core, Layer, Link } from '../src/types.ts'

const overwrite = (batch: Batch): void => { for (const bytes of batch) bytes.fill(0xaa) }

/** A link that lends what it reads: by `flow` until `take` is done, by `source` until the next read, once it was asked to. */
function lender (reads: Uint8Array[]): Link {
  let isLending = false
  async function * source (): AsyncGenerator<Batch> {
    for (const read of reads) {
      const batch = [read]
      const [kept] = batch
      yield batch
      if (isLending) overwrite([kept])
    }
  }
  return {
    ...recordingLink(),
    source: source(),
    poolReads () { isLending = true },
    async flow (take) {
      for (const read of reads) {
        await take([read])
        overwrite([read])
      }
    }
  }
}

/** Keeps views of what has come until there are three, and says nothing about it. */
function inThrees (): Core {
  const held: Uint8Array[] = []
  return {
    push (batch) {
      held.push(...batch)
      return held.splice(0, held.length - held.length % 3)
    }
  }
}

const frames = lengthPrefix(u16be)
const layers: Record<string, { layer: Layer, flows: boolean }> = {
  length: { layer: frames, flows: true },
  'length and checksum': { layer: stack(frames, checksum('crc32')), flows: true },
  'length, checksum and padding': { layer: stack(frames, checksum('crc32'), confusionPadding()), flows: true },
  'a core that keeps what it is given': { layer: stack(frames, codec(() => ({ decode: inThrees(), encode: { push: (batch) => batch } }))), flows: true },
  'control frames': { layer: controlFrames(u16be), flows: false },
  websocket: { layer: websocketFrames({ role: 'server' }), flows: true },
  'length over websocket': { layer: stack(websocketFrames({ role: 'server' }), frames), flows: true },
  'a link with other members': { layer: stack(frames, (link: Link) => wrapLink(link, {})), flows: true }
}

const MESSAGES = Array.from({ length: 12 }, (_, i) => Buffer.alloc(i * 7, i + 1))

/** What the other side of a layer writes. */
async function wireOf (layer: Layer): Promise<Buffer> {
  const lower = recordingLink()
  const { port } = over(lower, layer)
  for (const message of MESSAGES) port.send([message])
  return Buffer.concat(lower.sent.flat())
}

const clientOf: Record<string, Layer> = {
  websocket: websocketFrames({ role: 'client' }),
  'length over websocket': stack(websocketFrames({ role: 'client' }), frames)
}

for (const [name, { layer, flows }] of Object.entries(layers)) {
  t.test(name, async (t) => {
    const wire = await wireOf(clientOf[name] ?? layer)
    for (let size = 1; size <= 200; size++) {
      for (const way of ['flow', 'source']) {
        const link = over(lender(pieces(wire, [size])), layer)
        t.equal(link.flow !== undefined, flows)
        if (way === 'source') link.poolReads?.()
        const heard: Buffer[] = []
        const take = (batch: Batch): void => { heard.push(...batch.map((one) => Buffer.from(one))) }
        await consume(way === 'flow' ? link : { source: link.source }, take).catch((err) => { if (!name.includes('websocket')) throw err }) // no farewell has come
        if (heard.length !== MESSAGES.length || !heard.every((one, i) => one.equals(MESSAGES[i]))) t.fail(`${way}, reads of ${size}`, { heard })
      }
    }
    t.pass('all sizes of reads')
  })
}

t.test('a busy reader has its memory until it is done', async (t) => {
  const wire = await wireOf(layers['length and checksum'].layer)
  const link = over(lender(pieces(wire, [50])), layers['length and checksum'].layer)
  const heard: Buffer[] = []
  await consume(link, async (batch) => {
    await new Promise((resolve) => { setImmediate(resolve) })
    heard.push(...batch.map((one) => Buffer.from(one)))
  })
  t.same(heard, MESSAGES)
})

t.test('messages of JSON keep nothing of it', async (t) => {
  const layer = stack(frames, json({ read: (value) => value as object }))
  const lower = recordingLink()
  over(lower, layer).port.send([{ a: 1 }, { b: 'two' }])
  const heard: object[] = []
  await consume(over(lender(pieces(Buffer.concat(lower.sent.flat()), [5])), layer), (batch) => { heard.push(...batch) })
  t.strictSame(heard, [{ a: 1 }, { b: 'two' }])
})

t.test('a first frame, and what follows it', async (t) => {
  for (let size = 1; size < 40; size++) {
    const wire = Buffer.concat([Buffer.from('0000000568656c6c6f', 'hex'), Buffer.from('and then raw bytes')])
    const link = lender(pieces(wire, [size]))
    link.poolReads?.()
    const { frame, rest } = await firstFrame(link, u32be)
    t.equal(rest.flow, undefined, 'the reads before are not those of the link')
    t.equal(Buffer.from(frame ?? []).toString(), 'hello')
    const heard: Buffer[] = []
    rest.poolReads?.()
    await consume(rest, (batch) => { heard.push(...batch.map((one) => Buffer.from(one))) })
    t.equal(Buffer.concat(heard).toString(), 'and then raw bytes')
  }
})

t.test('a failure comes behind what was good, and behind a reader that is busy', async (t) => {
  const layer = stack(frames, checksum('crc32'))
  const wire = await wireOf(layer)
  wire[wire.length - 1] ^= 1
  for (const isBusy of [true, false]) {
    const heard: Buffer[] = []
    let busy = 0
    await t.rejects(consume(over(lender([wire]), layer), (batch) => {
      heard.push(...batch.map((one) => Buffer.from(one)))
      busy++
      if (!isBusy) busy--
      return isBusy ? new Promise((resolve) => { setImmediate(() => { busy--; resolve() }) }) : undefined
    }), { code: 'ERR_CHECKSUM' })
    t.equal(heard.length, MESSAGES.length - 1)
    t.equal(busy, 0)
  }
  await t.rejects(consume(over(lender([wire.subarray(0, 30)]), frames), () => {}), { code: 'ERR_TRUNCATED' })
})

t.test('a link that lends nothing offers nothing', async (t) => {
  const link = over({ ...recordingLink([]), source: from([[Buffer.from('0001ff', 'hex')]]) }, frames)
  t.equal(link.flow, undefined)
  t.equal(link.poolReads, undefined)
  const heard: Uint8Array[] = []
  await consume(link, (batch) => { heard.push(...batch) })
  t.same(heard, [Buffer.from('ff', 'hex')])
})

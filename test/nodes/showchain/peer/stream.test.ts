/** Streams between two nodes over what is below them: helpers, proxies, NATs and a network that loses and reorders. */
import t, { type Test } from 'tap'
import { sample } from '../../../helpers/sample.ts'
import { StreamsLab, type LabInit, type LabProxy } from '../../../helpers/showchain/streams-lab.ts'
import { bytesOf, transfer } from '../../../helpers/showchain/pairs.ts'
import type { Link } from '../../../../src/types.ts'

const KIB = 1 << 10
const within = { within: 900_000 }

async function lab (t: Test, init: LabInit, proxies = 1): Promise<StreamsLab> {
  const made = new StreamsLab(init)
  for (const key of ['c', 'd'].slice(0, proxies) as Array<'c' | 'd'>) await made.proxy(key)
  t.teardown(() => made.close())
  return made
}

async function failureOf (link: Link): Promise<string> {
  try {
    for await (const batch of link.source) t.comment(`${batch.length} elements`)
    return 'ended in order'
  } catch (err) {
    return String((err as { code?: string }).code)
  }
}

const alterData = (proxy: LabProxy): void => {
  proxy.alter = (message) => message.data === undefined || message.data.length < 100 ? message : { ...message, data: Uint8Array.from(message.data, (byte, i) => i === 50 ? byte ^ 1 : byte) }
}

const alterHash = (proxy: LabProxy): void => {
  proxy.alter = (message) => message.dataHash === undefined || (message.data as Uint8Array).length < 100 ? message : { ...message, dataHash: message.dataHash.map((byte) => byte ^ 1) }
}

const POOR = { loss: 0.2, reorder: 0.1, duplicate: 0.05 }

t.test('over a path through NATs, at 20 % loss on every hop (row 10)', async (t) => {
  const size = sample('KiB direct', { short: KIB, long: 10 * KIB }) * KIB
  const made = await lab(t, { ...POOR, nat: { kind: 'full-cone' } })
  const [here, there] = await made.connect()
  await made.clock.until(() => made.requester?.path?.kind !== 'proxy', within)
  const up = await made.clock.until(transfer(here, there, size), within)
  t.equal(up.received, up.sent)
  const down = await made.clock.until(transfer(there, here, size >> 2), within)
  t.equal(down.received, down.sent)
  t.not(made.requester?.path?.kind, 'proxy')
})

for (const pageSignatures of [false, true]) {
  t.test(`over a proxy, at 20 % loss on every hop${pageSignatures ? ', in the form of the page' : ''} (row 10)`, async (t) => {
    const size = sample('KiB by a proxy', { short: 512, long: KIB }) * KIB
    const made = await lab(t, { ...POOR, isDirect: false, pageSignatures })
    const [here, there] = await made.connect()
    const up = await made.clock.until(transfer(here, there, size), within)
    t.equal(up.received, up.sent)
    const down = await made.clock.until(transfer(there, here, size >> 2), within)
    t.equal(down.received, down.sent)
    t.equal(made.requester?.path?.kind, 'proxy')
    t.ok(made.proxies[0].passed > size / 1232)
  })
}

t.test('the proxy dies in the middle of a transfer, a second one is known (row 9)', async (t) => {
  for (const isUp of [true, false]) {
    const made = await lab(t, { isDirect: false }, 2)
    const [here, there] = await made.connect()
    const [from, to] = isUp ? [here, there] : [there, here]
    const first = made.proxies.find(({ host: { addresses: [address] } }) => address === made.requester?.path?.endpoint.host) as LabProxy
    const [second] = made.proxies.filter((proxy) => proxy !== first)
    let isDead = false
    const { sent, received } = await made.clock.until(transfer(from, to, KIB * KIB, (bytes) => {
      if (bytes < 300_000 || isDead) return
      isDead = true
      void first.close()
    }), within)
    t.equal(received, sent)
    t.ok(isDead)
    t.ok(second.passed > 300, 'by the other one')
    t.same(made.ended, [])
  }
})

t.test('the path moves from a proxy to a direct one during a transfer (row 13)', async (t) => {
  for (const isUp of [true, false]) {
    const made = await lab(t, { isDirect: false, loss: 0.02, reorder: 0.05, duplicate: 0.02 })
    const [here, there] = await made.connect()
    const [from, to] = isUp ? [here, there] : [there, here]
    const kinds: string[] = []
    const { sent, received } = await made.clock.until(transfer(from, to, 2 * KIB * KIB, (bytes) => {
      const kind = (isUp ? made.requester : made.target)?.path?.kind === 'proxy' ? 'proxy' : 'direct' // or nat, where a node does not know its own kind
      if (kinds[kinds.length - 1] !== kind) kinds.push(kind)
      if (bytes > 300_000 && !made.isDirect) made.goDirect()
    }), within)
    t.equal(received, sent)
    t.same(kinds, ['proxy', 'direct'], isUp ? 'R sends' : 'T sends')
  }
})

for (const [name, alter] of [['data', alterData], ['data_hash', alterHash]] as const) {
  t.test(`a proxy alters ${name}: the stream fails with a named error at both ends (row 14)`, async (t) => {
    for (const isUp of [true, false]) {
      const made = await lab(t, { isDirect: false })
      const [here, there] = await made.connect()
      const failures = Promise.all([failureOf(here), failureOf(there)])
      alter(made.proxies[0])
      const [from] = isUp ? [here] : [there]
      from.sink(bytesOf(1000)).catch(() => {})
      t.same(await made.clock.until(failures, within), ['ERR_PATH_ALTERED', 'ERR_PATH_ALTERED'], isUp ? 'from R' : 'from T')
    }
  })
}

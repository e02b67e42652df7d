import t from 'tap'
import { loadSha256 } from '../../../../src/crypto/index.ts'
import { CoveredData } from '../../../../src/nodes/showchain/protocol/covered-data.ts'
import { DataRequests } from '../../../../src/nodes/showchain/peer/data-requests.ts'
import { encodeMessage, readMessage, type ShowchainMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { signedBytes } from '../../../../src/nodes/showchain/protocol/signatures.ts'
import { VirtualClock } from '../../../../src/streams/virtual-clock.ts'
import { random, toHex } from '../../../helpers/bytes.ts'
import { instant } from '../../../helpers/showchain/instant.ts'
import { identity } from '../../../helpers/showchain/keys.ts'
import { MemoryProxy, type Conditions } from '../../../helpers/showchain/paths.ts'
import type { ProxySession } from '../../../../src/nodes/showchain/peer/proxy-session.ts'
import type { Batch } from '../../../../src/types.ts'

const DATE = 1_700_000_000_000

const sha256 = await loadSha256()
const fraction = (seed: number): () => number => {
  const below = random(seed)
  return () => below(2 ** 31) / 2 ** 31
}

function proxied (conditions: Conditions = {}, more: { hmac?: boolean, pageSignatures?: boolean } = {}) {
  const clock = new VirtualClock({ date: DATE })
  const failures: Array<[end: number, code: string]> = []
  const proxy = new MemoryProxy({
    clock,
    random: fraction(5),
    sha256,
    identities: [instant(identity('a')), instant(identity('b'))],
    conditions,
    onFailed: (end, err) => { failures.push([end, (err as Error & { code: string }).code]) },
    ...more
  })
  const got: Batch[] = [[], []]
  proxy.receivers.forEach((_, end) => { proxy.receivers[end] = { receive: (packets) => { got[end].push(...packets) } } })
  return { clock, proxy, ends: proxy.ends as [ProxySession, ProxySession], got, failures }
}

/** Packets that can be told apart. */
const packet = (number: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length).fill(number)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}
const numbers = (packets: Batch): number[] => packets.map((bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0))
const inOrder = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

async function sendAll (clock: VirtualClock, from: ProxySession, count: number, length = 800): Promise<void> {
  for (let i = 0; i < count; i++) {
    while (from.queued >= from.limit) await clock.pass(10)
    if (from.send([packet(i, length)]) !== 1) throw new Error('not taken')
  }
}

t.test('0x123 is what the encoder of messages makes', async (t) => {
  const [id, target, session] = [32, 32, 16].map((length) => new Uint8Array(length).fill(length))
  for (const pageSignatures of [false, true]) {
    const covered = new CoveredData(sha256, { target, session, hasHash: !pageSignatures })
    const requests = new DataRequests({ sha256, covered, id, target, session, pageSignatures })
    for (const [seq, ts, length] of [[1, 1, 1], [127, DATE, 127], [128, DATE, 128], [2 ** 32, DATE, 500], [2 ** 53 - 1, 2 ** 49 - 1, requests.maxData(256)]]) {
      const data = packet(9, Math.max(4, length)).subarray(0, length)
      const { bytes, signAt } = requests.write(data, seq, ts, 256)
      bytes.set(new Uint8Array(256).fill(6), signAt)
      const digest = new Uint8Array(32)
      sha256.digest(data, 0, length, digest, 0)
      const message: ShowchainMessage = { op: Op.dataRequest, id, target, session, seq, ts, data, sign: new Uint8Array(256).fill(6), ...pageSignatures ? {} : { dataHash: digest } }
      t.equal(toHex(bytes), toHex(encodeMessage(message)), `${length} bytes`)
      t.equal(toHex(covered.bytes), toHex(signedBytes(message)))
    }
    const longest = requests.write(packet(9, requests.maxData(512)), 2 ** 53 - 1, 2 ** 49 - 1, 512).bytes
    t.equal(longest.length, 1232)
  }
})

for (const [name, more] of [['signatures', {}], ['HMAC', { hmac: true }], ['signatures of the page', { pageSignatures: true }]] as const) {
  t.test(`each packet arrives once, at 20 % loss with reorder and duplicates on every hop: ${name} (row 10)`, async (t) => {
    const { clock, proxy, ends, got, failures } = proxied({ delay: 20, jitter: 15, loss: 0.2, duplicate: 0.1 }, more)
    await sendAll(clock, ends[0], 300)
    await clock.until(() => got[1].length >= 300, { within: 120_000 })
    await clock.until(() => ends[0].outstanding === 0, { within: 120_000 })
    t.same(numbers(got[1]).sort((a, b) => a - b), inOrder(300))
    t.equal(proxy.refused, 0)
    t.same(failures, [])
  })
}

t.test('without loss all is sent once, in order, both ways', async (t) => {
  const { clock, proxy, ends, got } = proxied()
  await Promise.all([sendAll(clock, ends[0], 200), sendAll(clock, ends[1], 200)])
  await clock.until(() => got[0].length + got[1].length === 400)
  t.same(numbers(got[1]), inOrder(200))
  t.same(numbers(got[0]), inOrder(200))
  t.ok(proxy.up[0].carried <= 400, 'a message for each, and at most as many acknowledgements')
  t.ok(Math.abs((ends[0].rtt ?? 0) - 40) < 15)
})

t.test('at most 512 messages are not acknowledged, within 1024 numbers', async (t) => {
  const { clock, proxy, ends, got } = proxied({}, { hmac: true })
  const seqs = new Set<number>()
  proxy.up[0].alter = (bytes) => {
    const message = readMessage(bytes) as ShowchainMessage
    if (message.op === Op.dataRequest) seqs.add(message.seq)
    return message.seq === Math.min(...seqs) ? undefined : bytes // the first one never arrives
  }
  let largest = 0
  for (let i = 0; clock.now() < 20_000; i++) {
    if (ends[0].queued < ends[0].limit) ends[0].send([packet(i, 500)])
    else await clock.pass(20)
    largest = Math.max(largest, ends[0].outstanding)
  }
  t.ok(largest <= 512 && largest > 16, `${largest} outstanding`)
  t.ok(got[1].length > 512)
  t.equal(Math.max(...seqs) - Math.min(...seqs), 1023)
})

t.test('a message is repeated with the same bytes, later and later, and signed anew after 20 s', async (t) => {
  const { clock, proxy, ends, failures } = proxied()
  const sent: Array<[at: number, hex: string]> = []
  proxy.up[0].alter = (bytes) => {
    sent.push([clock.now(), toHex(bytes)])
    return undefined
  }
  ends[0].send([packet(1, 100)])
  await clock.pass(29_900)
  const gaps = sent.slice(1).map(([at], i) => at - sent[i][0])
  t.ok(gaps[0] >= 200 && gaps[0] <= 800, `${gaps[0]} ms`)
  t.ok(Math.abs(gaps[1] - 2 * gaps[0]) <= 10)
  t.ok(gaps.slice(4).every((gap) => gap === 3000))
  const early = sent.filter(([at]) => at < 20_000)
  t.equal(new Set(early.map(([, bytes]) => bytes)).size, 1)
  const late = sent.filter(([at]) => at >= 20_000).map(([, bytes]) => bytes)
  t.equal(new Set(late).size, 1)
  t.not(late[0], early[0][1])
  const [first, again] = [early[0][1], late[0]].map((bytes) => readMessage(Buffer.from(bytes, 'hex')) as ShowchainMessage)
  t.equal(again.seq, first.seq)
  t.ok(again.ts >= first.ts + 20_000)
  t.same(failures, [])
  await clock.pass(5000)
  t.same(failures, [[0, 'ERR_PROXY_SESSION']], '30 s without an acknowledgement')
  t.equal(ends[0].send([packet(2, 100)]), 0)
  const count = sent.length
  await clock.pass(60_000)
  t.ok(sent.length - count < 5, 'it does not go on for ever')
})

t.test('with a key, all that is not acknowledged gets an HMAC', async (t) => {
  const { clock, proxy, ends, got } = proxied()
  const small = ends[0].maxDatagram
  proxy.isCut = true
  ends[0].send([packet(0, small)])
  await clock.pass(100)
  proxy.useKey(0)
  proxy.isCut = false
  await clock.until(() => got[1].length === 1)
  t.equal(proxy.refused, 0)
  t.ok(ends[0].maxDatagram > small + 200)
  t.equal(ends[0].send([packet(1, ends[0].maxDatagram + 1)]), 0, 'too long')
})

t.test('what is sent once is not repeated, nor what has become too long', async (t) => {
  const { clock, proxy, ends, got } = proxied()
  const seqs: number[] = []
  proxy.up[0].alter = (bytes) => {
    seqs.push((readMessage(bytes) as ShowchainMessage).seq)
    return undefined
  }
  t.ok(ends[0].sendOnce(packet(0, 700)))
  t.notOk(ends[0].sendOnce(packet(0, 2000)), 'too long')
  ends[0].send([packet(1, 600), packet(2, 500)])
  await clock.pass(2000)
  const [once, long, short] = [...new Set(seqs)].sort((a, b) => a - b)
  const times = (seq: number): number => seqs.filter((one) => one === seq).length
  t.same([times(once), times(long) > 1, times(short) > 1], [1, true, true])
  t.equal(ends[0].outstanding, 2)
  ends[0].shrank(500)
  t.equal(ends[0].outstanding, 1)
  seqs.length = 0
  await clock.pass(10_000)
  t.same([times(once), times(long), times(short) > 1], [0, 0, true])
  proxy.up[0].alter = (bytes) => bytes
  await clock.until(() => got[1].length === 1)
  t.equal(ends[0].outstanding, 1)
  await clock.until(() => ends[0].outstanding === 0)
})

t.test('a proxy that alters data or data_hash is found out (row 14)', async (t) => {
  const alterations: Array<[string, (message: ShowchainMessage) => ShowchainMessage]> = [
    ['data', (message) => ({ ...message, data: Uint8Array.from(message.data as Uint8Array, (byte, i) => i === 7 ? byte ^ 1 : byte) })],
    ['data_hash', (message) => ({ ...message, dataHash: Uint8Array.from(message.dataHash as Uint8Array, (byte, i) => i === 31 ? byte ^ 0x80 : byte) })],
    ['no data_hash', ({ dataHash: _, ...message }) => message]
  ]
  for (const [name, alter] of alterations) {
    const { clock, proxy, ends, got, failures } = proxied()
    ends[0].send([packet(0, 100)])
    await clock.until(() => got[1].length === 1)
    proxy.alter = alter
    ends[0].send([packet(1, 100)])
    await clock.pass(1000)
    t.same(failures, [[1, 'ERR_PATH_ALTERED']], name)
    t.same(numbers(got[1]), [0])
    t.equal(ends[1].send([packet(1, 100)]), 0, 'the session is not used again')
  }
})

t.test('what is sent while it fails or just before it is closed still arrives', async (t) => {
  const { clock, ends, got } = proxied({ loss: 0.1, delay: 20 })
  for (let i = 0; i < 3; i++) ends[0].send([packet(i, 100)])
  ends[0].close()
  t.equal(ends[0].send([packet(9, 100)]), 0)
  await clock.pass(5000)
  t.same(numbers(got[1]).sort(), [0, 1, 2])
})

import fc from 'fast-check'
import { verify } from 'node:crypto'
import t from 'tap'
import { bytesOf, CoveredValues, PssKey, PssSigner, signed, uintOf, type SignedInit } from '../../../src/transforms/index.ts'
import { OrderedJobs } from '../../../src/transforms/signed/ordered-jobs.ts'
import { AsyncQueue } from '../../../src/streams/async-queue.ts'
import type { Batch, Link } from '../../../src/types.ts'
import { createPublicKey } from 'node:crypto'
import { turn } from '../../helpers/ends.ts'
import { privateKey } from '../../helpers/showchain/keys.ts'
import { toHex } from '../../helpers/bytes.ts'

interface Message {
  type: 'order' | 'note'
  from: 'a' | 'b'
  text: string
  count: number
  sign?: Uint8Array
}

const covered = new CoveredValues<Message>('TEST/1', { order: [bytesOf(({ text }) => Buffer.from(text)), uintOf(4, ({ count }) => count)] }, ({ type }) => type)
const keys = { a: new PssKey(createPublicKey(privateKey('a'))), b: new PssKey(createPublicKey(privateKey('b'))) }
const signers = { a: new PssSigner(privateKey('a')), b: new PssSigner(privateKey('b')) }

const order = (count: number, from: Message['from'] = 'a', type: Message['type'] = 'order'): Message => ({ type, from, text: 'text', count })
const signedBy = (message: Message): Message => ({ ...message, sign: signers[message.from].sign(covered.of(message) as Uint8Array) })

/** The layer over a link whose two directions a test has in its hands. */
function open (init: Partial<SignedInit<Message>> = {}) {
  const incoming = new AsyncQueue<Message>()
  const sent: Batch<Message> = []
  const lower: Link<Message> = {
    source: incoming,
    sink: async (source) => { for await (const batch of source) sent.push(...batch) },
    port: {
      send: (batch) => {
        sent.push(...batch)
        return batch.length
      },
      queued: 0,
      limit: 1000
    },
    abort: (err) => { incoming.fail(err) }
  }
  const drops: string[] = []
  const link = signed<Message>({
    covered,
    signer: signers.a,
    signatureOf: ({ sign }) => sign,
    withSignature: (message, sign) => ({ ...message, sign }),
    senderOf: ({ from }) => from,
    keyOf: ({ from }) => keys[from] ?? 'unknown',
    onDrop: (message, reason) => { drops.push(`${message.count} ${reason}`) },
    ...init
  })(lower)
  return { incoming, sent, link, drops }
}

async function read (link: Link<Message>): Promise<number[]> {
  const all: number[] = []
  for await (const batch of link.source) for (const { count } of batch) all.push(count)
  return all
}

t.test('what is signed: a text, and each value with its length', async (t) => {
  t.equal(toHex(covered.of(order(258)) as Uint8Array), `${toHex(Buffer.from('TEST/1'))}0004${toHex(Buffer.from('text'))}000400000102`)
  t.equal(covered.of(order(1, 'a', 'note')), undefined)
  t.throws(() => covered.of({ ...order(1), text: 'x'.repeat(65536) }), { name: 'RangeError' })
  for (const count of [-1, 2 ** 32, 1.5, NaN]) t.throws(() => covered.of(order(count)), { name: 'RangeError' }, String(count))
  for (const size of [0, 9, 1.5]) t.throws(() => new CoveredValues<Message>('', { order: [uintOf(size, () => 0)] }, () => 'order'), { code: 'ERR_OPTION' })
  const optional = new CoveredValues<{ a?: Uint8Array, b?: number }>('', { 1: [bytesOf(({ a }) => a), uintOf(1, ({ b }) => b)] }, () => 1)
  t.equal(toHex(optional.of({ b: 7 }) as Uint8Array), '000107', 'a missing value is left out')
  t.equal(toHex(optional.of({ a: new Uint8Array(0) }) as Uint8Array), '0000')
})

t.test('numbers of any size as BigInt writes them', async () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (size, any) => {
    const value = size > 6 ? any : any % 2 ** (8 * size)
    const one = new CoveredValues<number>('', { n: [uintOf(size, (n) => n)] }, () => 'n')
    return toHex(one.of(value) as Uint8Array) === `000${size}${BigInt(value).toString(16).padStart(2 * size, '0')}`
  }))
})

t.test('signed below, verified above, in order; others pass', async (t) => {
  for (const way of ['sink', 'port'] as const) {
    const { sent, link } = open()
    const batch = [order(1), order(2, 'a', 'note'), order(3)]
    if (way === 'sink') await link.sink(async function * () { yield batch }())
    else {
      t.equal(link.port.send(batch), 3)
      while (link.unsigned > 0) await turn()
    }
    t.same(sent.map(({ count }) => count), way === 'sink' ? [1, 2, 3] : [2, 1, 3])
    for (const message of sent) t.equal(message.sign !== undefined, message.type === 'order')
    t.ok(verify('sha256', covered.of(order(3)) as Uint8Array, { key: createPublicKey(privateKey('a')), padding: 6, saltLength: 32 }, sent[2].sign as Uint8Array))
    const { incoming, link: other, drops } = open()
    for (const message of sent) incoming.push(message)
    incoming.end()
    t.same((await read(other)).sort(), [1, 2, 3])
    t.same(drops, [])
  }
})

t.test('what fails is dropped, with the reason', async (t) => {
  const { incoming, link, drops } = open({ admit: ({ count }) => count === 9 ? 'nine' : undefined, budget: ({ count }) => count !== 8 })
  const good = signedBy(order(1))
  incoming.pushBatch([good, { ...good, count: 2 }, { ...good, from: 'b' }, order(3), { ...signedBy(order(4)), from: 'c' as 'a' }, signedBy(order(8)), signedBy(order(9)), { ...order(5), sign: Buffer.alloc(255) }])
  incoming.end()
  t.same(await read(link), [1])
  t.same(drops.sort(), ['1 signature', '2 signature', '3 unsigned', '4 unknown', '5 signature', '8 budget', '9 nine'])
})

t.test('the order of each sender is kept, whichever result comes first', async (t) => {
  const { incoming, link } = open({ few: 0, maxRunning: 3 })
  const all = Array.from({ length: 60 }, (_, i) => signedBy(order(i, i % 3 === 0 ? 'b' : 'a')))
  incoming.pushBatch(all)
  incoming.end()
  const got = await read(link)
  for (const rest of [[0], [1, 2]]) {
    const isOf = (count: number): boolean => rest.includes(count % 3)
    t.same(got.filter(isOf), all.map(({ count }) => count).filter(isOf))
  }
})

t.test('a reader that throws ends the reading; a second reader is refused; an error below comes up', async (t) => {
  const { incoming, link } = open({ few: 0 })
  const lower = { flow: async (take: (batch: Batch<Message>) => unknown) => { await take([signedBy(order(1))]) }, port: { limit: 1 } } as unknown as Link<Message>
  const overFlow = signed<Message>({ covered, signer: signers.a, signatureOf: ({ sign }) => sign, withSignature: (m) => m, senderOf: () => '', keyOf: () => keys.a, few: 0 })(lower)
  await t.rejects(async () => { await overFlow.flow?.(() => { throw new RangeError('a defect') }) }, { name: 'RangeError' })
  const reading = read(link)
  await t.rejects(read(link), { code: 'ERR_LINK_BUSY' })
  incoming.fail(new RangeError('broken'))
  await t.rejects(reading, { name: 'RangeError' })
})

t.test('the queue of messages to sign is bounded, all or nothing', async (t) => {
  const { sent, link } = open({ maxUnsigned: 3 })
  t.equal(link.port.send([order(1), order(2)]), 2)
  t.equal(link.port.send([order(3), order(4)]), 0)
  t.equal(link.port.send([order(5)]), 1)
  while (link.unsigned > 0) await turn()
  t.same(sent.map(({ count }) => count), [1, 2, 5])
})

t.test('without threads all is done at once', async (t) => {
  const { sent, link } = open({ threads: false })
  link.port.send([order(1), order(2)])
  t.same(sent.map(({ count }) => count), [1, 2])
  t.ok(keys.a.verify(covered.of(order(1)) as Uint8Array, sent[0].sign as Uint8Array))
})

t.test('the memory of a call may be reused after it', async (t) => {
  const message = signedBy(order(1))
  const [bytes, signature] = [covered.of(order(1)) as Uint8Array, Uint8Array.from(message.sign as Uint8Array)]
  const verified = new Promise((resolve) => { keys.a.verifyLater(bytes, signature, resolve) })
  const signing = new Promise<Uint8Array | undefined>((resolve) => { signers.a.signLater(bytes, resolve) })
  bytes.fill(0)
  signature.fill(0)
  t.equal(await verified, true)
  t.ok(keys.a.verify(covered.of(order(1)) as Uint8Array, await signing as Uint8Array))
  t.throws(() => new PssKey(createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) }, format: 'jwk' })), { code: 'ERR_OPTION' })
})

t.test('jobs: any order of results, any owners; bounds; turns', async () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 60 }), fc.infiniteStream(fc.nat(1000)), (owners, picks) => {
    const running: Array<[item: string, done: (result: string) => void]> = []
    const taken: string[] = []
    const jobs = new OrderedJobs<string, string>({
      run: (item, done) => { running.push([item, done]) },
      take: (item, result) => { taken.push(item === result ? item : 'wrong') },
      maxRunning: 4,
      maxPerOwner: 5,
      maxJobs: 12
    })
    const accepted: string[] = []
    const pick = (): number => picks.next().value as number
    const waitingOf = (owner: string): number => accepted.filter((item) => item.startsWith(owner)).length - taken.filter((item) => item.startsWith(owner)).length
    for (const [i, owner] of owners.entries()) {
      const item = `${owner} ${i}`
      const fits = jobs.size < 12 && waitingOf(`${owner} `) < 5
      if (jobs.push(String(owner), item) !== fits) return false
      if (fits) accepted.push(item)
      if (running.length > 4) return false
      if (pick() % 2 === 0 && running.length > 0) {
        const [[of, done]] = running.splice(pick() % running.length, 1)
        done(of)
      }
    }
    while (running.length > 0) {
      const [[of, done]] = running.splice(pick() % running.length, 1)
      done(of)
    }
    return jobs.size === 0 && [0, 1, 2, 3, 4].every((owner) => String(taken.filter((item) => item.startsWith(`${owner} `))) === String(accepted.filter((item) => item.startsWith(`${owner} `))))
  }))
})

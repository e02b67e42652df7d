/** Orders that are signed, and forged ones that are not taken. `node --import tsx examples/signed.ts` */
import { generateKeyPairSync } from 'node:crypto'
import { over, type Batch } from 'tunpipe'
import { bytesOf, CoveredValues, json, lengthPrefix, PssKey, PssSigner, signed, u16be, uintOf } from 'tunpipe/transforms'
import { memoryPair } from 'tunpipe/transports'

interface Order { from: string, item: string, count: number, sign?: string }

const covered = new CoveredValues<Order>('ORDERS/1', { order: [bytesOf(({ item }) => Buffer.from(item)), uintOf(4, ({ count }) => count)] }, () => 'order')
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const keys = new Map([['alice', new PssKey(publicKey)]])

const orders = signed<Order>({
  covered,
  signer: new PssSigner(privateKey),
  signatureOf: ({ sign }) => sign === undefined ? undefined : Buffer.from(sign, 'base64'),
  withSignature: (order, sign) => ({ ...order, sign: Buffer.from(sign).toString('base64') }),
  senderOf: ({ from }) => from,
  keyOf: ({ from }) => keys.get(from) ?? 'unknown',
  onDrop: ({ from, item }, reason) => { console.log('dropped:', from, item, reason) }
})

async function * say (...batch: Batch<Order>): AsyncGenerator<Batch<Order>> { yield batch }

const frames = memoryPair().map((link) => over(over(link, lengthPrefix(u16be)), json<Order>({ read: (value) => value as Order })))
const [alice, shop] = frames.map((link) => over(link, orders))
const said = alice.sink(say({ from: 'alice', item: 'apples', count: 3 }, { from: 'bob', item: 'pears', count: 1 }, { from: 'alice', item: 'plums', count: 2, sign: 'A'.repeat(344) }))
for await (const batch of shop.source) for (const { from, item, count } of batch) console.log(from, item, count)
await said

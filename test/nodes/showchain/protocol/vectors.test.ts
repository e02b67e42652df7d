/** The golden vectors: the same from their script, from the sources, and back (row 1). */
import { createHash } from 'node:crypto'
import t from 'tap'
import { showchainVectors } from '../../../../scripts/showchain-vectors.ts'
import { decodeMessage, encodeMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { PublicKey } from '../../../../src/nodes/showchain/protocol/public-key.ts'
import { answerBytes, covered, offerBytes, signedBytes, verifyMessage } from '../../../../src/nodes/showchain/protocol/signatures.ts'
import { hex, toHex } from '../../../helpers/bytes.ts'
import { hmacOf, verifyHmac } from '../../../helpers/showchain/hmac.ts'
import { publicDer, type AnyKeyName } from '../../../helpers/showchain/keys.ts'
import { messageIn, messageVectors, vector, vectors } from '../../../helpers/showchain/vectors.ts'

t.test('the script writes what is there', async (t) => {
  const made = showchainVectors()
  t.same(made.map(({ name }) => name), vectors.map(({ name }) => name))
  for (const [i, one] of made.entries()) t.same(one, vectors[i], one.name)
})

t.test('each op encoded and decoded, every field at its limits (row 1)', async (t) => {
  t.equal(new Set(messageVectors.map(({ inputs }) => inputs.op)).size, Object.keys(Op).length)
  for (const one of messageVectors) {
    const message = messageIn(one)
    t.equal(toHex(encodeMessage(message)), one.hex, one.name)
    t.same(plain(decodeMessage(hex(one.hex))), plain(message), one.name)
  }
})

const plain = (message: object): object => Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined).map(([name, value]) => [name, value instanceof Uint8Array ? toHex(value) : value]))

t.test('what is signed, and by whom (row 1)', async (t) => {
  let count = 0
  for (const one of messageVectors) {
    const message = messageIn(one)
    const { signer, signed, sign } = one.inputs
    t.equal(covered.has(message) && signed !== undefined, sign !== undefined || signer !== undefined, one.name)
    if (signed === undefined) continue
    t.equal(toHex(signedBytes(message)), signed, one.name)
    if (signer === undefined) continue
    t.ok(verifyMessage(message, PublicKey.read(publicDer(signer as AnyKeyName)) as PublicKey), one.name)
    count++
  }
  t.equal(count, 21)
})

t.test('HMAC of the extension', async (t) => {
  const one = vector('data_request_hmac')
  const message = messageIn(one)
  const key = vector('proxy_key').bytes
  t.equal(one.inputs.hmac_key, toHex(key))
  t.equal(toHex(hmacOf(message, key)), one.inputs.sign)
  t.ok(verifyHmac(message, key))
  t.notOk(verifyHmac({ ...message, seq: 2 }, key))
})

t.test('what both ends sign of a handshake', async (t) => {
  const [offer, answer] = [vector('offer'), vector('answer')]
  const valuesOf = ({ inputs }: typeof offer) => ({ requester: hex(inputs.requester), target: hex(inputs.target), handshake: hex(inputs.handshake), index: inputs.index, ephemeral: hex(inputs.ephemeral) })
  t.equal(toHex(offerBytes({ ...valuesOf(offer), ts: offer.inputs.ts })), offer.inputs.signed)
  t.equal(toHex(answerBytes({ ...valuesOf(answer), offerHash: createHash('sha256').update(offer.bytes).digest() })), answer.inputs.signed)
  for (const { inputs, bytes } of [offer, answer]) {
    const key = PublicKey.read(publicDer(inputs.signer as AnyKeyName)) as PublicKey
    t.ok(key.verify(hex(inputs.signed), bytes.subarray(-256)))
  }
})

import t from 'tap'
import { loadSealing } from '../../../../src/crypto/index.ts'
import { agree, decodeAnswer, decodeOffer, encodeAnswer, encodeOffer } from '../../../../src/nodes/showchain/peer/handshake.ts'
import { cutParts, PartsAssembler, readPart, Stage, type HandshakePart } from '../../../../src/nodes/showchain/peer/handshake-parts.ts'
import { contentOf, SealedChannel, typeOf } from '../../../../src/nodes/showchain/peer/sealed-channel.ts'
import { EphemeralKey, proxyKey, sessionKeys } from '../../../../src/nodes/showchain/protocol/key-agreement.ts'
import { hex, toHex } from '../../../helpers/bytes.ts'
import { readVectors, vectorOf } from '../../../helpers/vectors.ts'
import type { Agreement } from '../../../../src/nodes/showchain/peer/handshake.ts'

const vectors = readVectors('showchain')
const vector = (name: string) => vectorOf(vectors, name)

t.test('offer, answer, and their parts', async (t) => {
  const [offer, answer] = [vector('offer'), vector('answer')]
  const common = ({ inputs }: typeof offer) => ({ index: inputs.index, ephemeral: hex(inputs.ephemeral), key: hex(inputs.key) })
  const sign = (bytes: Uint8Array): Uint8Array => bytes.subarray(bytes.length - 256)
  t.equal(toHex(encodeOffer({ ...common(offer), ts: offer.inputs.ts, sign: sign(offer.bytes) })), offer.hex)
  t.equal(toHex(encodeAnswer({ ...common(answer), sign: sign(answer.bytes) })), answer.hex)
  t.match(decodeOffer(offer.bytes), { ...common(offer), ts: offer.inputs.ts })
  t.match(decodeAnswer(answer.bytes), common(answer))
  for (const [name, stage, whole] of [['offer', Stage.OFFER, offer.bytes], ['answer', Stage.ANSWER, answer.bytes]] as const) {
    const parts = [vector(`${name}_part_0`), vector(`${name}_part_1`)]
    t.same(cutParts(hex(offer.inputs.handshake), stage, whole).map(toHex), parts.map((part) => part.hex))
    const assembler = new PartsAssembler()
    const wholes = parts.map(({ bytes }) => assembler.add(readPart(bytes) as HandshakePart, 0))
    t.equal(toHex(wholes[1] as Uint8Array), toHex(whole))
  }
})

t.test('keys', async (t) => {
  const { inputs, hex: expected } = vector('session_keys')
  const [requester, target] = [inputs.ephemeral_secret_of_requester, inputs.ephemeral_secret_of_target].map((secret) => new EphemeralKey(hex(secret)))
  const offer = vector('offer')
  const names = { requester: hex(offer.inputs.requester), target: hex(offer.inputs.target), handshake: hex(offer.inputs.handshake) }
  const bytes = { offer: hex(inputs.offer), answer: hex(inputs.answer) }
  const secret = requester.agree(target.publicKey) as Uint8Array
  const keys = sessionKeys({ secret, ...bytes, ...names })
  t.equal(toHex(keys.requester) + toHex(keys.target), expected)
  const there = agree({ ...names, ...bytes, role: 'target', index: vector('answer').inputs.index, ephemeral: target, other: { index: offer.inputs.index, ephemeral: requester.publicKey } }) as Agreement
  t.equal(toHex(there.keys.receive) + toHex(there.keys.send), expected)
  t.equal(requester.agree(new Uint8Array(32)), undefined)
  t.equal(requester.agree(new Uint8Array(31)), undefined)

  const proxied = vector('proxy_key')
  const own = new EphemeralKey(hex(proxied.inputs.ephemeral_secret_of_requester))
  const others = new EphemeralKey(hex(proxied.inputs.ephemeral_secret_of_proxy))
  const ends = { requester: { id: hex(proxied.inputs.requester), ephemeral: own.publicKey }, proxy: { id: hex(proxied.inputs.proxy), ephemeral: others.publicKey } }
  t.equal(toHex(proxyKey({ secret: own.agree(others.publicKey) as Uint8Array, session: hex(proxied.inputs.session), ...ends })), proxied.hex)
})

t.test('sealed packets', async (t) => {
  const sealing = await loadSealing()
  const channelOf = ({ key, index }: { key: string, index: number }) => new SealedChannel(sealing, { indexIn: index, indexOut: index, keys: { send: hex(key), receive: hex(key) } })
  for (const names of [[['sealed_stream', 0]], [['sealed_probe_answer', 2], ['sealed_close', 3], ['sealed_altered', 4]]] as const) {
    const channel = channelOf(vector(names[0][0]).inputs)
    for (const [name, type] of names) t.equal(toHex(channel.seal(hex(vector(name).inputs.content), type)), vector(name).hex, name)
  }
  for (const [name, type] of [['sealed_stream', 0], ['sealed_probe', 1], ['sealed_probe_answer', 2], ['sealed_close', 3], ['sealed_altered', 4]] as const) {
    const { inputs, bytes } = vector(name)
    const channel = channelOf(inputs)
    const packet = Uint8Array.from(bytes)
    t.equal(channel.open(packet), undefined, name)
    t.equal(typeOf(packet), type)
    t.equal(toHex(contentOf(packet)), inputs.content)
    t.equal(channel.open(Uint8Array.from(bytes)), 'replayed')
  }
})

t.test('sealing in place, with room in front and behind; what is not authentic', async (t) => {
  const sealing = await loadSealing()
  const keys = () => ({ send: new Uint8Array(32).fill(1), receive: new Uint8Array(32).fill(1) })
  const own = keys()
  const [here, there] = [own, keys()].map((pair) => new SealedChannel(sealing, { indexIn: 5, indexOut: 5, keys: pair }))
  t.equal(toHex(own.send), '00'.repeat(32), 'keys are wiped')
  const memory = new Uint8Array(3 * 130)
  const contents = [0, 1, 2].map((i) => memory.subarray(i * 130 + 14, i * 130 + 114).fill(i + 1))
  const packets = here.sealAll(contents, 0)
  t.ok(packets.every((packet, i) => packet.buffer === memory.buffer && packet.byteOffset === i * 130 && packet.length === 130))
  for (const [i, packet] of packets.entries()) {
    const altered = Uint8Array.from(packet)
    altered[20] ^= 1
    t.equal(there.open(altered), 'sealed')
    t.equal(there.open(packet.slice(0, 29)), 'short')
    t.equal(there.open(packet), undefined)
    t.same(contentOf(packet), new Uint8Array(100).fill(i + 1))
  }
  t.equal(there.newest, 2)
})

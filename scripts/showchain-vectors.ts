/**
 * Writes `test/vectors/showchain.json`, the golden bytes of docs/protocols/showchain.md, from the fixed keys of `test/vectors/showchain-keys.json`. It has its own code for what it
 * makes, so that the vectors do not only tell what the sources do. Nothing in it is random: each signature has a salt made of its name.
 *
 *     node --import tsx scripts/showchain-vectors.ts
 */
import { constants, createCipheriv, createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, privateEncrypt, type KeyObject } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { showchain } from '../src/nodes/showchain/protocol/generated/showchain.js'

export interface ShowchainVector {
  name: string
  /** Bytes are hexadecimal, numbers are numbers. */
  inputs: Record<string, string | number>
  hex: string
  notes: string
}

const file = (name: string): string => fileURLToPath(new URL(`../test/vectors/${name}.json`, import.meta.url))

const KEYS: Array<{ name: string, public: string, private?: string }> = JSON.parse(readFileSync(file('showchain-keys'), 'utf8'))

interface Key {
  name: string
  id: Buffer
  der: Buffer
  object: KeyObject
}

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const uint = (size: number, value: number): Buffer => Buffer.from(value.toString(16).padStart(2 * size, '0'), 'hex')

function keyOf (name: string): Key {
  const key = KEYS.find((each) => each.name === name)
  const der = Buffer.from(key?.public ?? '', 'base64')
  return { name, der, id: sha256(der), object: createPrivateKey({ key: Buffer.from(key?.private ?? '', 'base64'), format: 'der', type: 'pkcs8' }) }
}

const a = keyOf('a') // R
const b = keyOf('b') // T
const proxy = keyOf('c')
const largest = keyOf('rsa4096')

/** RFC 8017, section 9.1.1, for a modulus of whole bytes. */
function sign (message: Uint8Array, key: Key, salt: Buffer): Buffer {
  const size = (createPublicKey(key.object as never).asymmetricKeyDetails?.modulusLength ?? 0) / 8
  const hash = sha256(Buffer.alloc(8), sha256(message), salt)
  const block = Buffer.alloc(size - hash.length - 1)
  block[block.length - salt.length - 1] = 1
  block.set(salt, block.length - salt.length)
  for (let i = 0; i * 32 < block.length; i++) sha256(hash, uint(4, i)).forEach((byte, j) => { if (i * 32 + j < block.length) block[i * 32 + j] ^= byte })
  block[0] &= 0x7f
  return privateEncrypt({ key: key.object, padding: constants.RSA_NO_PADDING }, Buffer.concat([block, hash, Buffer.of(0xbc)]))
}

const signed = (prefix: string, values: Uint8Array[]): Buffer => Buffer.concat([Buffer.from(prefix), ...values.flatMap((value) => [uint(2, value.length), value])])

type Fields = Record<string, Uint8Array | number>

const MAX = Number.MAX_SAFE_INTEGER
const fill = (length: number, byte: number): Buffer => Buffer.alloc(length, byte)

/** Op code, the one that it is signed as, and the fields of the table in section 2.3; those with `?` may be missing. */
const MESSAGES: Array<[name: string, op: number, signedAs: number, fields: string, covered: string]> = [
  ['keep_alive', 0x100, 0, 'id ip? port?', ''],
  ['direct_request', 0x101, 0x101, 'id target seq ts key kind? cookie?', 'target seq ts'],
  ['direct_response', 0x102, 0x102, 'id seq ts ip port key cookie?', 'id seq ts'],
  ['nat_request', 0x111, 0x111, 'id target seq ts key kind? cookie?', 'target seq ts'],
  ['pass_request', 0x112, 0x111, 'id target seq ts session ip port key kind?', 'target seq ts'],
  ['response', 0x113, 0x113, 'id target seq ts key kind? cookie?', 'target id seq ts'],
  ['response_ack', 0x114, 0x114, 'id seq ts session key kind?', 'session seq ts'],
  ['pass_response_ack', 0x115, 0x114, 'id seq ts session ip port key kind?', 'session seq ts'],
  ['proxy_request', 0x121, 0x121, 'id target seq ts key cookie? ephemeral?', 'target seq ts ephemeral'],
  ['proxy_response', 0x122, 0x122, 'target seq ts session key ephemeral?', 'target session seq ts ephemeral'],
  ['data_request', 0x123, 0x123, 'id target seq ts session data data_hash', 'target session seq ts data_hash'],
  ['pass_data', 0x124, 0, 'id target seq ts session data data_hash', ''],
  ['data_ack', 0x125, 0, 'seq ts session arrived?', '']
]

const ENDS = {
  min: (key: Key, size: number): Fields => ({
    id: key.id, target: b.id, seq: 1, ts: 1, session: fill(16, 0), ip: fill(4, 0), port: 1, data: fill(size, 0), key: key.der
  }),
  max: (key: Key, size: number): Fields => ({
    arrived: fill(32, 0xff),
    id: key.id,
    target: fill(32, 0xff),
    seq: MAX,
    ts: MAX,
    session: fill(16, 0xff),
    ip: fill(16, 0xff),
    port: 65535,
    data: fill(size, 0xff),
    key: key.der,
    kind: 4,
    cookie: fill(16, 0xff),
    ephemeral: fill(32, 0xff)
  })
}

function encode (op: number, { data_hash: dataHash, ...fields }: Fields): Buffer {
  return Buffer.from(showchain.Message.encode({ ...fields, op_code: op, ...dataHash === undefined ? {} : { data_hash: dataHash } } as showchain.Message.$Properties).finish())
}

const shown = (fields: Fields): Record<string, string | number> => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, typeof value === 'number' ? value : hex(value)]))

const valueOf = (name: string, value: Uint8Array | number): Uint8Array => typeof value === 'number' ? uint(8, value) : value

function bytesToSign (op: number, fields: Fields, covered: string): Buffer {
  return signed('SHOWCHAIN/1', [uint(2, op), ...covered.split(' ').filter((name) => fields[name] !== undefined).map((name) => valueOf(name, fields[name]))])
}

function message (end: 'min' | 'max', [name, op, signedAs, list, covered]: typeof MESSAGES[number]): ShowchainVector {
  const key = end === 'min' ? a : largest
  const make = (size: number): { fields: Fields, inputs: Record<string, string | number>, bytes: Buffer } => {
    const all = ENDS[end](key, size)
    const fields: Fields = {}
    for (const word of list.split(' ')) {
      const field = word.replace('?', '')
      if (field === 'data_hash') fields[field] = sha256(all.data as Uint8Array)
      else if (end === 'max' || !word.endsWith('?')) fields[field === 'arrived' ? 'data' : field] = all[field] // `data` of another meaning
    }
    if (signedAs === 0) return { fields, inputs: { op, ...shown(fields) }, bytes: encode(op, fields) }
    const toSign = bytesToSign(signedAs, fields, covered)
    const salt = sha256(Buffer.from(`${name}_${end}`))
    const signature = sign(toSign, key, salt)
    return { fields, inputs: { op, ...shown(fields), signer: key.name, signed: hex(toSign), salt: hex(salt), sign: hex(signature) }, bytes: encode(op, { ...fields, sign: signature }) }
  }
  const sample = make(1000)
  const isData = list.split(' ').includes('data')
  const { inputs, bytes } = !isData ? sample : make(end === 'min' ? 1 : 1000 + 1232 - sample.bytes.length)
  return { name: `${name}_${end}`, inputs, hex: hex(bytes), notes: end === 'min' ? 'each field at its minimum, none that may be missing' : `each field at its maximum, ${bytes.length} bytes` }
}

/** X25519 from 32 fixed bytes. */
function ephemeralOf (byte: number): { secret: KeyObject, bytes: Buffer, public: Buffer } {
  const bytes = fill(32, byte)
  const secret = createPrivateKey({ key: Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), bytes]), format: 'der', type: 'pkcs8' })
  return { secret, bytes, public: createPublicKey(secret as never).export({ type: 'spki', format: 'der' }).subarray(-32) }
}

const agree = (own: { secret: KeyObject }, other: { secret: KeyObject }): Buffer => diffieHellman({ privateKey: own.secret, publicKey: createPublicKey(other.secret as never) })
const hkdf = (secret: Buffer, salt: Uint8Array, info: Uint8Array, length: number): Buffer => Buffer.from(hkdfSync('sha256', secret, salt, info, length))

function proxied (): ShowchainVector[] {
  const [own, other] = [ephemeralOf(0x11), ephemeralOf(0x22)]
  const session = fill(16, 0x33)
  const data = Buffer.from('c100000001', 'hex')
  const fields = { id: a.id, target: b.id, seq: 1, ts: 1_760_000_000_000, session, data }
  const withHash = { ...fields, data_hash: sha256(data) }
  const key = hkdf(agree(own, other), session, Buffer.concat([Buffer.from('SHOWCHAIN/1 proxy'), a.id, proxy.id, own.public, other.public]), 32)
  const toSign = bytesToSign(0x123, withHash, 'target session seq ts data_hash')
  const hmac = createHmac('sha256', key).update(toSign).digest()
  const onPage = bytesToSign(0x123, fields, 'target session seq ts')
  const salt = sha256(Buffer.from('data_request_page'))
  const signature = sign(onPage, a, salt)
  return [
    { name: 'data_request_page', inputs: { op: 0x123, ...shown(fields), signer: 'a', signed: hex(onPage), salt: hex(salt), sign: hex(signature) }, hex: hex(encode(0x123, { ...fields, sign: signature })), notes: 'signed as on the page, without data_hash' },
    {
      name: 'proxy_key',
      inputs: { requester: hex(a.id), proxy: hex(proxy.id), session: hex(session), ephemeral_secret_of_requester: hex(own.bytes), ephemeral_of_requester: hex(own.public), ephemeral_secret_of_proxy: hex(other.bytes), ephemeral_of_proxy: hex(other.public) },
      hex: hex(key),
      notes: 'the key of the extension'
    },
    { name: 'data_request_hmac', inputs: { op: 0x123, ...shown(withHash), hmac_key: hex(key), signed: hex(toSign), sign: hex(hmac) }, hex: hex(encode(0x123, { ...withHash, sign: hmac })), notes: 'signed by HMAC under the key of the vector before' }
  ]
}

/** 0x124 with seq 1, 256, 999, 1002, 1004 and 1005 have come. */
function acknowledged (): ShowchainVector {
  const data = Buffer.alloc(32)
  const first = 752 // (floor(1005 / 8) - 31) * 8
  for (const seq of [999, 1002, 1004, 1005]) data[(seq - first) >> 3] |= 1 << (seq - first) % 8
  const fields = { seq: 1005, ts: 1_760_000_000_000, session: fill(16, 0x33), data }
  return { name: 'data_ack_arrived', inputs: { op: 0x125, ...shown(fields) }, hex: hex(encode(0x125, fields)), notes: '0x124 with seq 1, 256, 999, 1002, 1004 and 1005 have come' }
}

function handshake (): ShowchainVector[] {
  const [requester, target] = [ephemeralOf(0x44), ephemeralOf(0x55)]
  const id = Buffer.from('0102030405060708', 'hex')
  const ts = 1_760_000_000_000
  const body = (signer: Key, parts: Uint8Array[], signature: Buffer): Buffer => Buffer.concat([uint(1, 1), ...parts, uint(2, signer.der.length), signer.der, signature])
  const offerToSign = signed('SHOWCHAIN/1 offer', [a.id, b.id, id, uint(4, 0x0a0b0c0d), requester.public, uint(8, ts)])
  const [offerSalt, answerSalt] = [sha256(Buffer.from('offer')), sha256(Buffer.from('answer'))]
  const offer = body(a, [uint(4, 0x0a0b0c0d), requester.public, uint(8, ts)], sign(offerToSign, a, offerSalt))
  const answerToSign = signed('SHOWCHAIN/1 answer', [a.id, b.id, id, uint(4, 0xfffffffe), target.public, sha256(offer)])
  const answer = body(b, [uint(4, 0xfffffffe), target.public], sign(answerToSign, b, answerSalt))
  const keys = hkdf(agree(requester, target), sha256(offer, answer), Buffer.concat([Buffer.from('SHOWCHAIN/1 keys'), a.id, b.id]), 64)
  const seal = (key: Buffer, index: number, counter: number, plaintext: Buffer): Buffer => {
    const iv = Buffer.concat([uint(4, index), uint(8, counter)])
    const cipher = createCipheriv('aes-256-gcm', key, iv)
    return Buffer.concat([Buffer.of(0xc1), iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
  }
  const sealed = (name: string, toTarget: boolean, counter: number, type: number, content: Buffer, notes: string): ShowchainVector => {
    const [key, index] = toTarget ? [keys.subarray(0, 32), 0xfffffffe] : [keys.subarray(32), 0x0a0b0c0d]
    return { name, inputs: { key: hex(key), index, counter, type, content: hex(content) }, hex: hex(seal(key, index, counter, Buffer.concat([uint(1, type), content]))), notes }
  }
  const part = (name: string, stage: number, whole: Buffer, number: number): ShowchainVector => {
    const parts = Math.ceil(whole.length / 480)
    return { name, inputs: { handshake: hex(id), stage, number, parts, whole: hex(whole) }, hex: hex(Buffer.concat([Buffer.of(0xc0), id, Buffer.of(stage, number, parts), whole.subarray(480 * number, 480 * (number + 1))])), notes: `part ${number + 1} of ${parts}` }
  }
  const common = { requester: hex(a.id), target: hex(b.id), handshake: hex(id) }
  return [
    { name: 'offer', inputs: { ...common, index: 0x0a0b0c0d, ephemeral_secret: hex(requester.bytes), ephemeral: hex(requester.public), ts, key: hex(a.der), signer: 'a', signed: hex(offerToSign), salt: hex(offerSalt) }, hex: hex(offer), notes: 'what R offers' },
    { name: 'answer', inputs: { ...common, index: 0xfffffffe, ephemeral_secret: hex(target.bytes), ephemeral: hex(target.public), offer: hex(offer), key: hex(b.der), signer: 'b', signed: hex(answerToSign), salt: hex(answerSalt) }, hex: hex(answer), notes: 'what T answers to it' },
    part('offer_part_0', 1, offer, 0),
    part('offer_part_1', 1, offer, 1),
    part('answer_part_0', 2, answer, 0),
    part('answer_part_1', 2, answer, 1),
    { name: 'session_keys', inputs: { offer: hex(offer), answer: hex(answer), ephemeral_secret_of_requester: hex(requester.bytes), ephemeral_secret_of_target: hex(target.bytes) }, hex: hex(keys), notes: 'from R to T, and from T to R' },
    sealed('sealed_stream', true, 0, 0, Buffer.from('packet'), 'a packet of the stream, the first of R'),
    sealed('sealed_probe', true, MAX, 1, Buffer.concat([fill(8, 0x66), Buffer.of(1)]), 'a probe of the path by which R sends, with the highest counter'),
    sealed('sealed_probe_answer', false, 0, 2, fill(8, 0x66), 'the answer to it'),
    sealed('sealed_close', false, 1, 3, Buffer.of(1), 'T closes: R may not connect any more'),
    sealed('sealed_altered', false, 2, 4, Buffer.alloc(0), 'what T has got by this path was altered')
  ]
}

/** All vectors, in their order. */
export function showchainVectors (): ShowchainVector[] {
  const challenge: Fields = { seq: 1, ts: 1_760_000_000_000, ip: Buffer.of(192, 0, 2, 1), port: 4242, cookie: fill(16, 0x77) }
  return [
    ...MESSAGES.flatMap((row) => [message('min', row), message('max', row)]),
    { name: 'challenge', inputs: { op: 0x102, ...shown(challenge) }, hex: hex(encode(0x102, challenge)), notes: 'a 0x102 without proof' },
    ...proxied(),
    acknowledged(),
    ...handshake()
  ]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file('showchain'), `${JSON.stringify(showchainVectors(), null, 2)}\n`)

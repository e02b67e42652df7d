/** The vectors of natpass, by the document alone: frames (natpass protocol, section 1.1) and proofs (section 2). */
import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { hex, toHex } from '../helpers/bytes.ts'

interface Vector {
  name: string
  inputs: { message?: Record<string, any>, secret?: string, counter?: number }
  hex: string
  notes: string
}

const vectors: Vector[] = JSON.parse(readFileSync(new URL('../vectors/natpass.json', import.meta.url), 'utf8'))

t.test('each is a frame, but for those that are damaged', async (t) => {
  for (const { name, hex: text } of vectors) {
    const bytes = hex(text)
    const payload = bytes.subarray(6)
    t.equal(bytes.readUInt16BE(0) === payload.length, name !== 'truncated_keepalive', `${name}: size`)
    t.equal(bytes.readUInt32BE(2) === crc32(payload), !['bad_crc_keepalive', 'truncated_keepalive'].includes(name), `${name}: checksum`)
  }
})

t.test('proofs are made of the secret and the minute', async (t) => {
  const proofs = vectors.filter(({ inputs }) => inputs.counter !== undefined)
  t.equal(proofs.length, 3)
  for (const { name, inputs: { message, secret = '', counter = 0 } } of proofs) {
    const minute = Buffer.alloc(8)
    minute.writeBigUInt64BE(BigInt(counter))
    t.equal(message?.hsp.enc, toHex(createHmac('sha512', secret).update(minute).digest()), name)
  }
  const md5 = createHash('md5').update('0123456789').digest('hex')
  t.same(vectors.filter(({ name }) => name.startsWith('handshake_md5')).map(({ inputs: { message } }) => message?.hsp.enc), [md5, toHex(Buffer.from(md5))])
})

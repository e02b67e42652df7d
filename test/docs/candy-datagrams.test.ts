/**
 * The vectors of direct traffic are those of the published layouts (candy protocol, sections 2.1 to 2.3): each is made again from its
 * inputs, by the document alone, as neither relay nor peer makes datagrams.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import t from 'tap'
import { hex, toHex } from '../helpers/bytes.ts'
import { address, vector, vectors } from '../helpers/candy/vectors.ts'

/** Fields of a packed structure: value and number of bytes. */
const packed = (...fields: Array<[value: number, bytes: number]>): Buffer => Buffer.concat(fields.map(([value, bytes]) => {
  const field = Buffer.alloc(8)
  field.writeBigInt64BE(BigInt(value))
  return field.subarray(8 - bytes)
}))

const addressBytes = (text: string): Buffer => packed([address(text), 4])

const keyOf = (password: string, receiver: Uint8Array): Buffer => createHash('sha256').update(password).update(receiver).digest()

/** Section 2.2: the key of a receiver. */
const keyFor = ({ password, receiver_ip: receiver }: Record<string, any>): Buffer => keyOf(password, addressBytes(receiver).reverse())

function seal (key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  const text = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), text])
}

/** @throws when key or tag is wrong */
function open (key: Uint8Array, datagram: Uint8Array): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, datagram.subarray(0, 12)).setAuthTag(datagram.subarray(12, 28))
  return Buffer.concat([decipher.update(datagram.subarray(28)), decipher.final()])
}

const made: Record<string, (inputs: Record<string, any>) => Buffer> = {
  udp_key: keyFor,
  udp_heartbeat_plain: ({ kind, tunip, ip, port, ack }) => packed([kind, 1], [address(tunip), 4], [address(ip), 4], [port, 2], [ack, 1]),
  udp_heartbeat_sealed: (inputs) => seal(keyFor(inputs), hex(inputs.iv_hex), hex(inputs.plaintext_hex)),
  udp_forward_sealed: (inputs) => seal(keyFor(inputs), hex(inputs.iv_hex), hex(inputs.plaintext_hex)),
  udp_delay_plain: ({ kind, src, dst, timestamp_ms: milliseconds }) => packed([kind, 1], [address(src), 4], [address(dst), 4], [milliseconds, 8]),
  udp_route_plain: ({ kind, dst, next, rtt }) => packed([kind, 1], [address(dst), 4], [address(next), 4], [rtt, 4]),
  udp_route_withdraw_plain: ({ kind, dst, next, rtt }) => packed([kind, 1], [address(dst), 4], [address(next), 4], [rtt, 4]),
  stun_request: ({ txid_hex: transaction }) => Buffer.concat([packed([0x0001, 2], [8, 2], [0x2112a442, 4]), hex(transaction), packed([0x0003, 2], [4, 2], [0, 4])])
}

t.test('each vector is made of its inputs', async (t) => {
  t.same(Object.keys(made), vectors.map(({ name }) => name).filter((name) => /^(udp|stun)_/.test(name)))
  for (const [name, make] of Object.entries(made)) {
    const { bytes, inputs } = vector(name)
    t.equal(toHex(make(inputs)), toHex(bytes), name)
  }
})

t.test('case 26: a datagram opens with the key of its receiver, whose address is reversed, and with no other', async (t) => {
  for (const name of ['udp_heartbeat_sealed', 'udp_forward_sealed']) {
    const { bytes, inputs } = vector(name)
    t.equal(toHex(open(keyFor(inputs), bytes)), inputs.plaintext_hex, name)
    t.throws(() => open(keyOf(inputs.password, addressBytes(inputs.receiver_ip)), bytes), 'the bytes of the address in network order')
    bytes[12] ^= 1
    t.throws(() => open(keyFor(inputs), bytes), 'a changed tag')
  }
})

t.test('a datagram carries the FORWARD of the server path', async (t) => {
  t.equal(vector('udp_forward_sealed').inputs.plaintext_hex, toHex(vector('forward_icmp_echo').bytes))
})

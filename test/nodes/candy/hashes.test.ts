import { inspect } from 'node:util'
import t from 'tap'
import { decodeAuth, decodeDhcp, decodeVmac } from '../../../src/nodes/candy/protocol/handshake.ts'
import { Secret, withinWindow } from '../../../src/nodes/candy/protocol/hashes.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { PASSWORD, vector, vectors } from '../../helpers/candy/vectors.ts'

const decoders = { 0: decodeAuth, 2: decodeDhcp, 4: decodeVmac }

t.test('case 1: the hashes of all golden messages are valid', async (t) => {
  const signed = vectors.filter(({ name }) => /^(auth|dhcp|vmac)_/.test(name))
  t.equal(signed.length, 9)
  for (const { name, hex: text, inputs } of signed) {
    const decode = decoders[inputs.type as keyof typeof decoders]
    const message = decode(hex(text))
    t.ok(new Secret(inputs.password).verify(message), name)
    t.notOk(new Secret(inputs.password + ' ').verify(message), `${name}, wrong password`)
  }
})

t.test('case 3: one bit of hash, address or time stamp flipped', async (t) => {
  const secret = new Secret(PASSWORD)
  const { bytes } = vector('auth_basic')
  for (let bit = 8; bit < bytes.length * 8; bit++) {
    const damaged = Buffer.from(bytes)
    damaged[bit >> 3] ^= 1 << (bit & 7)
    if (secret.verify(decodeAuth(damaged))) t.fail(`bit ${bit} does not matter`)
  }
})

t.test('the hash of DHCP leaves out the address, that of VMAC covers the device', async (t) => {
  const secret = new Secret(PASSWORD)
  const { bytes } = vector('dhcp_request_wanted')
  bytes[11] ^= 1 // 193 in place of 192
  t.ok(secret.verify(decodeDhcp(bytes)))
  const vmac = vector('vmac_basic').bytes
  vmac[16] ^= 1
  t.notOk(secret.verify(decodeVmac(vmac)))
})

t.test('a hash of another length is a wrong hash', async (t) => {
  const { covered, hash } = decodeAuth(vector('auth_basic').bytes)
  const secret = new Secret(PASSWORD)
  t.notOk(secret.verify({ covered, hash: hash.subarray(1) }))
  t.notOk(secret.verify({ covered, hash: new Uint8Array(0) }))
})

t.test('the key of a datagram is the same hash, over the reversed address', async (t) => {
  t.equal(toHex(new Secret(PASSWORD).hash(hex('02caa8c0'))), toHex(vector('udp_key').bytes))
})

t.test('a secret does not show its password', async (t) => {
  const secret = new Secret(PASSWORD)
  const shown = [
    inspect(secret, { showHidden: true, depth: 9 }),
    inspect({ secret }),
    JSON.stringify({ secret }),
    String(secret),
    Object.getOwnPropertyNames(secret).join()
  ]
  const bytes = toHex(Buffer.from('password'))
  for (const text of shown) {
    t.notMatch(text, 'password')
    t.notMatch(text.replaceAll(/[\s,]/g, ''), bytes)
  }
})

t.test('a password is a text', async (t) => {
  t.throws(() => new Secret(undefined as unknown as string), { code: 'ERR_OPTION' })
  t.throws(() => new Secret(1234 as unknown as string), { code: 'ERR_OPTION' })
})

t.test('case 4: 300 seconds either way, inclusive', async (t) => {
  const now = 1_700_000_000
  for (const near of [now, now - 300, now + 300]) t.ok(withinWindow(near, now), `${near - now}`)
  for (const far of [now - 301, now + 301, 0, -now, undefined, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    t.notOk(withinWindow(far, now), `${far}`)
  }
  t.ok(withinWindow(now - 10, now, 10))
  t.notOk(withinWindow(now - 11, now, 10))
})

import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ANY_ADDRESS, confusion, decodeAuth, decodeDhcp, decodeVmac, encodeAuth, encodeDhcp, encodeVmac } from '../../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import {
  decodeConn, decodeDiscovery, decodeGeneral, encodeConn, encodeDiscovery, encodeGeneral, encodeLocalEndpoint, localEndpoint,
  MAX_LENGTH, MIN_LENGTH, type MessageName
} from '../../../src/nodes/candy/protocol/messages.ts'
import { unwrapForward } from '../../../src/nodes/candy/protocol/forward.ts'
import { decodeRoute } from '../../../src/nodes/candy/protocol/routes.ts'
import { cidrOf, formatCidr } from '../../../src/net/ipv4.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { address, cidr, PASSWORD, vector } from '../../helpers/candy/vectors.ts'

const secret = new Secret(PASSWORD)
const wrong = { code: 'ERR_CANDY_MESSAGE', name: 'CandyMessageError' }

const decoders: Record<MessageName, (message: Uint8Array) => unknown> = {
  AUTH: decodeAuth,
  FORWARD: unwrapForward,
  DHCP: decodeDhcp,
  CONN: decodeConn,
  VMAC: decodeVmac,
  DISCOVERY: decodeDiscovery,
  ROUTE: decodeRoute,
  GENERAL: decodeGeneral
}

/** One valid message of each type, of the shortest length but for FORWARD and GENERAL. */
const samples: Record<MessageName, string> = {
  AUTH: 'auth_basic',
  FORWARD: 'forward_icmp_echo',
  DHCP: 'dhcp_request_any',
  CONN: 'conn_public',
  VMAC: 'vmac_basic',
  DISCOVERY: 'discovery_broadcast',
  ROUTE: 'route_two_entries',
  GENERAL: 'general_local_endpoint'
}

t.test('case 1: AUTH, byte for byte', async (t) => {
  for (const name of ['auth_basic', 'auth_empty_password', 'auth_utf8_password', 'auth_with_confusion']) {
    const { bytes, inputs } = vector(name)
    const message = decodeAuth(bytes)
    t.match(message, { address: address(inputs.ip), timestamp: inputs.timestamp }, name)
    const tail = hex(inputs.confusion_hex ?? '')
    const again = encodeAuth({ secret: new Secret(inputs.password), address: message.address, timestamp: inputs.timestamp, tail })
    t.equal(toHex(again), toHex(bytes), name)
  }
})

t.test('case 1: DHCP, byte for byte', async (t) => {
  for (const name of ['dhcp_request_any', 'dhcp_request_wanted', 'dhcp_reply']) {
    const { bytes, inputs } = vector(name)
    const message = decodeDhcp(bytes)
    t.equal(formatCidr(message.cidr), inputs.cidr, name)
    t.equal(message.timestamp, inputs.timestamp, name)
    t.equal(toHex(encodeDhcp({ secret, cidr: message.cidr, timestamp: inputs.timestamp })), toHex(bytes), name)
  }
  t.equal(toHex(encodeDhcp({ secret, cidr: ANY_ADDRESS, timestamp: 1_700_000_000 })), toHex(vector('dhcp_request_any').bytes))
})

t.test('case 1: VMAC, byte for byte', async (t) => {
  for (const name of ['vmac_basic', 'vmac_second_device']) {
    const { bytes, inputs } = vector(name)
    const { vmac, timestamp } = decodeVmac(bytes)
    t.same({ vmac, timestamp }, { vmac: inputs.vmac, timestamp: inputs.timestamp }, name)
    t.equal(toHex(encodeVmac({ secret, vmac, timestamp: inputs.timestamp })), toHex(bytes), name)
  }
})

t.test('CONN, DISCOVERY and GENERAL, byte for byte', async (t) => {
  const conn = vector('conn_public')
  const source = address('192.168.202.1')
  const destination = address('192.168.202.2')
  t.same(decodeConn(conn.bytes), { source, destination, address: address('203.0.113.9'), port: 40_001 })
  t.equal(toHex(encodeConn(decodeConn(conn.bytes))), toHex(conn.bytes))
  for (const name of ['discovery_broadcast', 'discovery_unicast_answer']) {
    const { bytes, inputs } = vector(name)
    t.same(decodeDiscovery(bytes), { source: address(inputs.src), destination: address(inputs.dst) }, name)
    t.equal(toHex(encodeDiscovery(decodeDiscovery(bytes))), toHex(bytes), name)
  }
  const { bytes } = vector('general_local_endpoint')
  const general = decodeGeneral(bytes)
  const endpoint = { address: address('192.168.1.50'), port: 51_820 }
  t.match(general, { subtype: 0, extra: 0, source, destination })
  t.same(localEndpoint(general), endpoint)
  t.equal(toHex(encodeGeneral(general)), toHex(bytes))
  t.equal(toHex(encodeLocalEndpoint({ source, destination, ...endpoint })), toHex(bytes))
})

t.test('a GENERAL that holds no local endpoint', async (t) => {
  const of = (subtype: number, length: number): unknown =>
    localEndpoint({ subtype, extra: 0, source: 1, destination: 2, data: new Uint8Array(length) })
  t.equal(of(0, 5), undefined, 'too short')
  t.equal(of(0, 0), undefined, 'empty')
  t.equal(of(1, 6), undefined, 'another subtype')
  t.same(of(0, 7), { address: 0, port: 0 }, 'confusion behind it')
})

t.test('case 2: 0, 1 and 255 bytes of confusion on AUTH, DHCP and VMAC', async (t) => {
  const timestamp = 1_700_000_000
  for (const length of [0, 1, 255]) {
    const tail = new Uint8Array(length).fill(0xa5)
    const auth = decodeAuth(encodeAuth({ secret, address: 7, timestamp, tail }))
    const dhcp = decodeDhcp(encodeDhcp({ secret, cidr: cidr('10.0.0.7/8'), timestamp, tail }))
    const vmac = decodeVmac(encodeVmac({ secret, vmac: '0123456789abcdef', timestamp, tail }))
    t.match(auth, { address: 7, timestamp })
    t.equal(formatCidr(dhcp.cidr), '10.0.0.7/8')
    t.equal(vmac.vmac, '0123456789abcdef')
    t.ok(secret.verify(auth) && secret.verify(dhcp) && secret.verify(vmac), `${length} bytes, not hashed`)
  }
  t.throws(() => encodeAuth({ secret, address: 7, timestamp, tail: new Uint8Array(256) }), { code: 'ERR_OPTION' })
})

t.test('confusion has 0 to as many bytes as asked', async (t) => {
  const seen = new Set(Array.from({ length: 200 }, () => confusion(3).length))
  t.same([...seen].sort(), [0, 1, 2, 3])
  t.equal(confusion(0).length, 0)
  t.ok(confusion().length <= 255)
  for (const max of [-1, 256, 1.5, NaN]) t.throws(() => confusion(max), { code: 'ERR_OPTION' })
})

t.test('case 5: every length below the minimum, and every other type', async (t) => {
  for (const name of Object.keys(decoders) as MessageName[]) {
    const { bytes } = vector(samples[name])
    const decode = decoders[name]
    for (let length = 0; length < MIN_LENGTH[name]; length++) {
      t.throws(() => decode(bytes.subarray(0, length)), wrong, `${name} of ${length} bytes`)
    }
    for (const type of [0, 1, 2, 3, 4, 5, 6, 7, 9, 254, 255]) {
      if (type !== bytes[0]) t.throws(() => decode(Uint8Array.from([type, ...bytes.subarray(1)])), wrong, `${name} as ${type}`)
    }
    t.doesNotThrow(() => decode(bytes))
  }
})

/** The DHCP request with these bytes in place of its CIDR field. */
function asking (field: string): Buffer {
  const { bytes } = vector('dhcp_request_any')
  bytes.fill(0, 9, 41)
  bytes.write(field, 9, 32, 'latin1')
  return bytes
}

t.test('case 14: what is no CIDR', async (t) => {
  const refused = [
    '10.0.0.1/33', '10.0.0.1/999', '10.0.0.1/-1', '10.0.0.1', '', '/', '10.0.0.1/', '/24', '10.0.0/24', '10.0.0.256/24',
    '10.0.0.1.2/24', '010.0.0.1/24', '10.0.0.1/024', '10.0.0.1/+8', '10.0.0.1/8 ', ' 10.0.0.1/8', '10.0.0.1/1e1', '0xa.0.0.1/8',
    '::1/128', 'fe80::1/64', '::ffff:10.0.0.1/24', '1\xb2.0.0.1/8', '10.0.0.1/24/24', '10.0.0.1/255.0.0.0'
  ]
  for (const text of refused) t.throws(() => decodeDhcp(asking(text)), wrong, JSON.stringify(text))
  const noEnd = asking('10.0.0.1/24')
  noEnd.fill('x', 20, 41)
  t.throws(() => decodeDhcp(noEnd), wrong, 'no NUL')
  noEnd[40] = 0
  t.throws(() => decodeDhcp(noEnd), wrong, 'NUL at the end, behind junk')
  noEnd[20] = 0
  t.equal(formatCidr(decodeDhcp(noEnd).cidr), '10.0.0.1/24', 'junk behind the NUL')
})

t.test('case 15: a reply written over the text that was asked', async (t) => {
  const reply = asking('10.0.0.7/24')
  reply.write('192.168.202.200/24', 9, 'latin1')
  reply.write('10.0.0.7/24\0', 9, 'latin1')
  t.equal(formatCidr(decodeDhcp(reply).cidr), '10.0.0.7/24')
})

t.test('time stamps are signed and have 64 bits', async (t) => {
  for (const timestamp of [0, 1, -1, 0xffff_ffff, 0x1_0000_0000, -0x1_0000_0001, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    const message = encodeAuth({ secret, address: 0, timestamp })
    t.equal(Buffer.from(message).readBigInt64BE(5), BigInt(timestamp))
    t.equal(decodeAuth(message).timestamp, timestamp)
  }
  for (const stamp of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n]) {
    const message = Buffer.from(encodeAuth({ secret, address: 0, timestamp: 0 }))
    message.writeBigInt64BE(stamp, 5)
    t.equal(decodeAuth(message).timestamp, undefined, `${stamp}`)
  }
  for (const timestamp of [NaN, Infinity, 1.5, 2 ** 53]) t.throws(() => encodeAuth({ secret, address: 0, timestamp }), { code: 'ERR_OPTION' })
})

t.test('values that do not fit', async (t) => {
  const peers = { source: 1, destination: 2 }
  const general = { ...peers, subtype: 0, extra: 0, data: new Uint8Array(0) }
  const bad = { code: 'ERR_OPTION' }
  for (const value of [-1, 2 ** 32, 1.5, NaN]) {
    t.throws(() => encodeAuth({ secret, address: value, timestamp: 0 }), bad)
    t.throws(() => encodeDiscovery({ source: value, destination: 0 }), bad)
    t.throws(() => encodeDiscovery({ source: 0, destination: value }), bad)
    t.throws(() => encodeConn({ ...peers, address: value, port: 0 }), bad)
  }
  for (const port of [-1, 65_536, 0.5]) t.throws(() => encodeConn({ ...peers, address: 0, port }), bad)
  for (const prefix of [-1, 33, NaN, 1.5]) t.throws(() => encodeDhcp({ secret, cidr: { address: 0, prefix }, timestamp: 0 }), bad)
  for (const vmac of ['', '0123456789abcde', '0123456789abcdef0', '0123456789abcde\u0141']) {
    t.throws(() => encodeVmac({ secret, vmac, timestamp: 0 }), bad)
  }
  t.throws(() => encodeGeneral({ ...general, subtype: 256 }), bad)
  t.throws(() => encodeGeneral({ ...general, extra: 65_536 }), bad)
  t.throws(() => encodeGeneral({ ...general, data: new Uint8Array(MAX_LENGTH - 11) }), bad)
  t.equal(encodeGeneral({ ...general, data: new Uint8Array(MAX_LENGTH - 12) }).length, MAX_LENGTH)
})

const u32 = fc.nat(0xffff_ffff)
const u16 = fc.nat(0xffff)
const tail = fc.uint8Array({ maxLength: 255 })

t.test('property: decoding brings back what was encoded', async (t) => {
  const stamp = fc.maxSafeInteger()
  fc.assert(fc.property(u32, stamp, tail, (address, timestamp, tail) => {
    const auth = decodeAuth(encodeAuth({ secret, address, timestamp, tail }))
    return auth.address === address && auth.timestamp === timestamp && secret.verify(auth)
  }))
  fc.assert(fc.property(u32, fc.nat(32), stamp, tail, (address, prefix, timestamp, tail) => {
    const dhcp = decodeDhcp(encodeDhcp({ secret, cidr: { address, prefix }, timestamp, tail }))
    deepEqual(dhcp.cidr, cidrOf(address, prefix))
    return dhcp.timestamp === timestamp && secret.verify(dhcp)
  }))
  fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), stamp, tail, (bytes, timestamp, tail) => {
    const vmac = Buffer.from(bytes).toString('latin1')
    const message = decodeVmac(encodeVmac({ secret, vmac, timestamp, tail }))
    return message.vmac === vmac && message.timestamp === timestamp && secret.verify(message)
  }))
  fc.assert(fc.property(u32, u32, u32, u16, (source, destination, address, port) => {
    const conn = { source, destination, address, port }
    deepEqual(decodeConn(encodeConn(conn)), conn)
    deepEqual(localEndpoint(decodeGeneral(encodeLocalEndpoint(conn))), { address, port })
    deepEqual(decodeDiscovery(encodeDiscovery({ source, destination })), { source, destination })
  }))
  fc.assert(fc.property(u32, u32, fc.nat(255), u16, fc.uint8Array({ maxLength: 1488 }), (source, destination, subtype, extra, data) => {
    const general = { source, destination, subtype, extra, data }
    deepEqual(decodeGeneral(encodeGeneral(general)), general)
  }))
})

/** PROXY headers of our own (version 2), byte for byte as section 2.2 of the specification has them. */
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import t from 'tap'
import { hex, toHex } from '../helpers/bytes.ts'
import { decodeProxyHeader, encodeProxyHeader } from '../../src/transports/proxy-header.ts'
import type { Endpoint } from '../../src/types.ts'

const SIGNATURE = '0d0a0d0a 000d0a51 5549540a'
const LOCAL = `${SIGNATURE} 20 00 0000`

const at = (host: string, port: number): Endpoint => ({ host, port })

t.test('golden bytes', async (t) => {
  const v6 = (address: string): string => `20010db8 00000000 00000000 ${address}`
  const cases: Array<[name: string, source: Endpoint | undefined, destination: Endpoint | undefined, wire: string]> = [
    ['IPv4', at('192.0.2.1', 56324), at('198.51.100.1', 443), '21 11 000c c0000201 c6336401 dc04 01bb'],
    ['the ends of IPv4', at('0.0.0.0', 0), at('255.255.255.255', 65535), '21 11 000c 00000000 ffffffff 0000 ffff'],
    ['IPv6', at('2001:db8::1', 56324), at('2001:db8::2', 443), `21 21 0024 ${v6('00000001')} ${v6('00000002')} dc04 01bb`],
    ['IPv6 in another form', at('2001:0DB8:0:0:0:0:0:1', 1), at('::', 2), `21 21 0024 ${v6('00000001')} ${'00'.repeat(16)} 0001 0002`],
    ['IPv4 mapped into IPv6, both', at('::ffff:192.0.2.1', 7), at('::ffff:c633:6401', 8), '21 11 000c c0000201 c6336401 0007 0008'],
    ['IPv4 mapped into IPv6, one of them', at('::ffff:192.0.2.1', 7), at('198.51.100.1', 8), '21 11 000c c0000201 c6336401 0007 0008'],
    ['from IPv6 to IPv4', at('2001:db8::1', 7), at('198.51.100.1', 8), `21 21 0024 ${v6('00000001')} 00000000 00000000 0000ffff c6336401 0007 0008`],
    ['from IPv4 to IPv6', at('192.0.2.1', 7), at('2001:db8::2', 8), '21 11 000c c0000201 00000000 0007 0008'],
    ['no destination', at('192.0.2.1', 7), undefined, '21 11 000c c0000201 00000000 0007 0000'],
    ['no destination, IPv6', at('2001:db8::1', 7), undefined, `21 21 0024 ${v6('00000001')} ${'00'.repeat(16)} 0007 0000`],
    ['a destination that is no address', at('192.0.2.1', 7), at('localhost', 8), '21 11 000c c0000201 00000000 0007 0000'],
    ['a destination that is no port', at('192.0.2.1', 7), at('198.51.100.1', 65_536), '21 11 000c c0000201 00000000 0007 0000'],
    ['a zone, which means nothing elsewhere', at('fe80::1%eth0', 7), undefined, `21 21 0024 fe800000 00000000 00000000 00000001 ${'00'.repeat(16)} 0007 0000`]
  ]
  for (const [name, source, destination, wire] of cases) t.equal(toHex(encodeProxyHeader(source, destination)), toHex(hex(`${SIGNATURE} ${wire}`)), name)
})

t.test('who is not known is not told', async (t) => {
  const nobody: Array<Endpoint | undefined> = [
    undefined,
    ...['', 'localhost', '192.0.2.256', '192.0.2', '1', '0x7f000001', '010.0.0.1', '[::1]', ':', '::g', '192.0.2.1 ', '/run/socket'].map((host) => at(host, 7)),
    ...[-1, 65_536, 99_999, 1.5, NaN, Infinity].map((port) => at('192.0.2.1', port))
  ]
  for (const source of nobody) {
    for (const destination of [undefined, at('192.0.2.1', 443)]) t.equal(toHex(encodeProxyHeader(source, destination)), toHex(hex(LOCAL)), JSON.stringify(source))
  }
  t.same(decodeProxyHeader(encodeProxyHeader()), { length: 16 })
})

const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4().map((host) => `::ffff:${host}`),
  fc.constantFrom('::', '::1', '127.0.0.1', '::ffff:0:0', '64:ff9b::192.0.2.1')
)
const endpoint = fc.record({ host: address, port: fc.integer({ min: 0, max: 0xffff }) })

t.test('property: what was encoded is decoded, whatever the destination and whatever follows', async (t) => {
  fc.assert(fc.property(endpoint, fc.option(endpoint, { nil: undefined }), fc.uint8Array(), (source, destination, rest) => {
    const header = encodeProxyHeader(source, destination)
    const shown = ipaddr.process(source.host)
    t.strictSame(decodeProxyHeader(Buffer.concat([header, rest])), { length: header.length, source: { host: shown.toString(), port: source.port } })
    if (header.length !== (shown.kind() === 'ipv4' ? 28 : 52)) t.fail('another length')
    for (let size = 0; size < header.length; size++) if (decodeProxyHeader(header.subarray(0, size)) !== 'more') t.fail(`ended at ${size}`)
  }), { numRuns: 300 })
})

t.test('property: the destination is where it belongs, in the family of the source', async (t) => {
  fc.assert(fc.property(endpoint, endpoint, (source, destination) => {
    const header = encodeProxyHeader(source, destination)
    const [from, to] = [source, destination].map(({ host }) => ipaddr.process(host))
    const isV4 = from.kind() === 'ipv4'
    const size = isV4 ? 4 : 16
    const bytes = isV4
      ? to.kind() === 'ipv4' ? to.toByteArray() : [0, 0, 0, 0]
      : to.kind() === 'ipv4' ? (to as ipaddr.IPv4).toIPv4MappedAddress().toByteArray() : to.toByteArray()
    return toHex(header.subarray(16 + size, 16 + 2 * size)) === toHex(Uint8Array.from(bytes)) && header.readUInt16BE(header.length - 2) === destination.port
  }), { numRuns: 300 })
})

t.test('property: any text and any number is an address, or nobody', async (t) => {
  fc.assert(fc.property(fc.oneof(fc.string(), address), fc.double(), fc.oneof(fc.string(), address), fc.double(), (host, port, to, toPort) => {
    const decoded = decodeProxyHeader(encodeProxyHeader({ host, port }, { host: to, port: toPort }))
    return typeof decoded === 'object'
  }))
})

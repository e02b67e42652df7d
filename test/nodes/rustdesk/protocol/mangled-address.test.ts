import fc from 'fast-check'
import t from 'tap'
import { readEndpoint } from '../../../../src/net/endpoint.ts'
import { foldAddress } from '../../../../src/nodes/rustdesk/protocol/addresses.ts'
import { mangleAddress, unmangleAddress } from '../../../../src/nodes/rustdesk/protocol/mangled-address.ts'
import { hex, toHex } from '../../../helpers/bytes.ts'
import { vectors } from '../../../helpers/rustdesk/vectors.ts'

t.test('golden addresses, both ways', async (t) => {
  const all = vectors.filter(({ name }) => name.startsWith('addr_mangle_'))
  t.ok(all.length > 10)
  for (const { name, inputs: { ip, port, tm_u32: time, expect }, hex: wire } of all) {
    const decoded = unmangleAddress(hex(wire))
    if (expect !== undefined) t.same(decoded, readEndpoint(expect), name)
    else {
      t.same(decoded, { host: foldAddress(ip), port }, name)
      t.equal(toHex(mangleAddress({ host: ip, port }, time ?? 0)), wire, name)
    }
  }
})

t.test('any address at any time', async () => {
  const micros = fc.oneof(fc.nat(2 ** 31 - 1), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), fc.constantFrom(0, 0xffff_ffff, 0xffff, 0x7fff, 0x8000, 0xffff_8000))
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65535 }), micros, (host, port, time) => {
    const wire = mangleAddress({ host, port }, time)
    const folded = foldAddress(host)
    const decoded = unmangleAddress(wire)
    return decoded.host === folded && decoded.port === port && (folded.includes(':') ? wire.length === 18 : wire.length <= 11 && wire.at(-1) !== 0)
  }), { numRuns: 500 })
})

t.test('as the definition has it, with integers of 128 bits', async () => {
  const word = fc.integer({ min: 0, max: 0xffff_ffff })
  fc.assert(fc.property(word, fc.integer({ min: 0, max: 65535 }), word, (ip, port, time) => {
    const value = ((BigInt(ip) + BigInt(time)) << 49n) | (BigInt(time) << 17n) | BigInt(port + (time & 0xffff))
    const wire = Buffer.from(value.toString(16).padStart(32, '0'), 'hex').reverse()
    const host = [ip & 0xff, ip >>> 8 & 0xff, ip >>> 16 & 0xff, ip >>> 24].join('.')
    return toHex(mangleAddress({ host, port }, time)) === toHex(wire).replace(/(?:00)+$/, '')
  }), { numRuns: 200 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 16 }), (bytes) => {
    let value = 0n
    for (let i = bytes.length - 1; i >= 0; i--) value = value << 8n | BigInt(bytes[i])
    const time = value >> 17n & 0xffff_ffffn
    const ip = Number(BigInt.asUintN(32, (value >> 49n) - time))
    const port = Number(BigInt.asUintN(16, (value & 0xff_ffffn) - (time & 0xffffn)))
    const decoded = unmangleAddress(bytes)
    return decoded.host === [ip & 0xff, ip >>> 8 & 0xff, ip >>> 16 & 0xff, ip >>> 24].join('.') && decoded.port === port
  }), { numRuns: 500 })
})

t.test('bytes that are no address', async (t) => {
  for (const length of [17, 19, 1000]) t.same(unmangleAddress(Buffer.alloc(length, 1)), { host: '::', port: 0 }, `${length} bytes`)
  t.same(unmangleAddress(hex('')), { host: '0.0.0.0', port: 0 })
})

t.test('what is no address cannot be encoded', async (t) => {
  for (const host of ['', 'name.example', '1.2.3.256', ':::']) t.throws(() => mangleAddress({ host, port: 1 }, 0), { name: 'TypeError' }, host)
})

t.test('addresses of IPv4 in IPv6 become IPv4, and the loopback stays', async (t) => {
  for (const [host, folded] of [
    ['::ffff:192.0.2.1', '192.0.2.1'], ['::FFFF:c000:201', '192.0.2.1'], ['0:0:0:0:0:ffff:c000:0201', '192.0.2.1'], ['::192.0.2.1', '192.0.2.1'], ['::2', '0.0.0.2'],
    ['::', '0.0.0.0'], ['::1', '::1'], ['0:0:0:0:0:0:0:1', '::1'], ['2001:DB8::1', '2001:db8::1'], ['fe80::1%eth0', 'fe80::1'], ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
    ['::fffe:1.2.3.4', '::fffe:102:304'], ['192.0.2.1', '192.0.2.1'], ['memory', 'memory']
  ]) t.equal(foldAddress(host), folded, host)
})

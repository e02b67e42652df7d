import fc from 'fast-check'
import t from 'tap'
import { PAGE, simdMemory } from '../../src/buffers/simd/memory.ts'
import { addWords, fold } from '../../src/net/checksum.ts'
import * as ipv4 from '../../src/net/ipv4.ts'
import { hex, random, toHex } from '../helpers/bytes.ts'

const address = fc.nat(0xffffffff)
const prefix = fc.integer({ min: 0, max: 32 })

t.test('addresses: strict text, unsigned numbers', async (t) => {
  t.equal(ipv4.parseAddress('0.0.0.0'), 0)
  t.equal(ipv4.parseAddress('10.77.0.2'), 0x0a4d0002)
  t.equal(ipv4.parseAddress('255.255.255.255'), 0xffffffff)
  t.equal(ipv4.formatAddress(0xffffffff), '255.255.255.255')
  for (const text of ['', '1', '1.2.3', '1.2.3.4.5', '1.2.3.256', '1.2.3.999', '01.2.3.4', '1.2.3.04', '1.2.3.', '.1.2.3', '1.2.3.4 ', ' 1.2.3.4', '1.2.3.4\n', '-1.2.3.4', '+1.2.3.4', '0x1.2.3.4', '1e0.2.3.4', '1.2.3.4/24', '::1', '١.2.3.4']) {
    t.equal(ipv4.parseAddress(text), undefined, JSON.stringify(text))
  }
  for (const value of [undefined, null, 7, ['1.2.3.4']] as unknown as string[]) t.equal(ipv4.parseAddress(value), undefined, String(value))
  fc.assert(fc.property(address, (n) => ipv4.parseAddress(ipv4.formatAddress(n)) === n))
})

t.test('networks: edges of the prefix', async (t) => {
  t.strictSame(ipv4.parseCidr('10.77.0.2/24'), { address: 0x0a4d0002, prefix: 24, mask: 0xffffff00, network: 0x0a4d0000, broadcast: 0x0a4d00ff })
  t.strictSame(ipv4.parseCidr('200.1.2.3/0'), { address: 0xc8010203, prefix: 0, mask: 0, network: 0, broadcast: 0xffffffff })
  t.strictSame(ipv4.parseCidr('200.1.2.3/1'), { address: 0xc8010203, prefix: 1, mask: 0x80000000, network: 0x80000000, broadcast: 0xffffffff })
  t.strictSame(ipv4.parseCidr('200.1.2.3/31'), { address: 0xc8010203, prefix: 31, mask: 0xfffffffe, network: 0xc8010202, broadcast: 0xc8010203 })
  t.strictSame(ipv4.parseCidr('200.1.2.3/32'), { address: 0xc8010203, prefix: 32, mask: 0xffffffff, network: 0xc8010203, broadcast: 0xc8010203 })
  for (const text of ['10.0.0.1', '10.0.0.1/', '10.0.0.1/33', '10.0.0.1/024', '10.0.0.1/-1', '10.0.0.1/1e1', '10.0.0.1/8/8', '10.0.0/8', '/8', '10.0.0.1/ 8', '10.0.0.1/255.0.0.0']) {
    t.equal(ipv4.parseCidr(text), undefined, JSON.stringify(text))
  }
  t.throws(() => ipv4.cidrOf(-1, 24), { code: 'ERR_OPTION' })
  t.throws(() => ipv4.cidrOf(0x1_0000_0000, 24), { code: 'ERR_OPTION' })
  t.throws(() => ipv4.cidrOf(1, 33), { code: 'ERR_OPTION' })
  t.throws(() => ipv4.cidrOf(1, 1.5), { code: 'ERR_OPTION' })
})

t.test('networks: properties', async () => {
  fc.assert(fc.property(address, prefix, address, (a, p, other) => {
    const cidr = ipv4.cidrOf(a, p)
    const bits = (n: number): string => n.toString(2).padStart(32, '0')
    const inside = bits(other).slice(0, p) === bits(a).slice(0, p)
    return ipv4.formatCidr(cidr) === `${ipv4.formatAddress(a)}/${p}` &&
      JSON.stringify(ipv4.parseCidr(ipv4.formatCidr(cidr))) === JSON.stringify(cidr) &&
      bits(cidr.mask) === '1'.repeat(p).padEnd(32, '0') &&
      bits(cidr.network) === bits(a).slice(0, p).padEnd(32, '0') &&
      bits(cidr.broadcast) === bits(a).slice(0, p).padEnd(32, '1') &&
      ipv4.prefixOf(cidr.mask) === p &&
      ipv4.inNetwork(other, cidr) === inside && ipv4.inNetwork(a, cidr)
  }), { numRuns: 1000 })
  fc.assert(fc.property(address, (mask) => {
    const ones = mask.toString(2).padStart(32, '0')
    return (ipv4.prefixOf(mask) === undefined) === ones.includes('01')
  }))
})

t.test('checksum: examples, and a naive oracle at every length and offset', async (t) => {
  const rfc1071 = hex('0001 f203 f4f5 f6f7') // section 3
  t.equal(fold(addWords(rfc1071)), ~0xddf2 & 0xffff)
  const header = hex('4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7')
  t.equal(fold(addWords(header)), 0)
  t.equal(fold(addWords(hex('ff'))), 0x00ff, 'an odd byte is the high half')
  t.equal(fold(0), 0xffff)

  const naive = (bytes: Uint8Array): number => {
    let sum = 0
    for (let i = 0; i < bytes.length; i += 2) {
      sum += bytes[i] * 256 + (i + 1 < bytes.length ? bytes[i + 1] : 0)
      if (sum > 0xffff) sum -= 0xffff
    }
    return 0xffff - sum
  }
  const below = random(1)
  let wrong = 0
  for (const memory of [new ArrayBuffer(2 * PAGE), simdMemory(2 * PAGE) as ArrayBuffer]) {
    const bytes = new Uint8Array(memory).map(() => below(256))
    for (let length = 0; length <= 2000; length++) {
      for (let from = 0; from < 5; from++) {
        if (fold(addWords(bytes, from, from + length)) !== naive(bytes.subarray(from, from + length))) wrong++
      }
      const half = 2 * Math.floor(length / 4) // sums of even pieces add up
      if (fold(addWords(bytes, half, length, addWords(bytes, 0, half))) !== naive(bytes.subarray(0, length))) wrong++
    }
    const most = new Uint8Array(memory, 1, 65_535).fill(0xff)
    t.equal(fold(addWords(most, 0, most.length, 0xffff * 10)), naive(most), 'the largest packet does not overflow')
  }
  t.equal(wrong, 0)
})

t.test('headers: the fields of a known one, and written again', async (t) => {
  const packet = hex('4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7')
  t.equal(ipv4.versionOf(packet), 4)
  t.equal(ipv4.headerLengthOf(packet), 20)
  t.equal(ipv4.totalLengthOf(packet), 0x73)
  t.equal(ipv4.protocolOf(packet), ipv4.protocols.udp)
  t.equal(ipv4.formatAddress(ipv4.sourceOf(packet)), '192.168.0.1')
  t.equal(ipv4.formatAddress(ipv4.destinationOf(packet)), '192.168.0.199')
  t.equal(ipv4.isFragment(packet), false)
  t.ok(ipv4.headerChecks(packet))
  const target = new Uint8Array(24)
  ipv4.writeHeader(target, { protocol: 17, source: 0xc0a80001, destination: 0xc0a800c7, totalLength: 0x73 }, 3)
  t.equal(toHex(target), '000000' + toHex(packet) + '00')
  t.ok(ipv4.headerChecks(target, 3))
  target[5]++
  t.notOk(ipv4.headerChecks(target, 3))
  t.equal(ipv4.isFragment(hex('4500 0073 0000 2000')), true, 'more pieces follow')
  t.equal(ipv4.isFragment(hex('4500 0073 0000 0001')), true, 'not the first piece')
})

t.test('headers: written fields are read back', async () => {
  fc.assert(fc.property(address, address, fc.nat(255), fc.integer({ min: 20, max: 65_535 }), fc.nat(65_535), fc.nat(255), fc.nat(7), (source, destination, protocol, totalLength, id, ttl, at) => {
    const packet = new Uint8Array(at + totalLength).fill(0xa5)
    ipv4.writeHeader(packet, { source, destination, protocol, totalLength, id, ttl }, at)
    return ipv4.isIpv4(packet, at) && ipv4.headerChecks(packet, at) && ipv4.sourceOf(packet, at) === source &&
      ipv4.destinationOf(packet, at) === destination && ipv4.protocolOf(packet, at) === protocol &&
      ipv4.totalLengthOf(packet, at) === totalLength && packet[at + 8] === ttl && ipv4.readU16(packet, at + 4) === id
  }))
})

t.test('what is a whole packet', async (t) => {
  const packet = new Uint8Array(40)
  ipv4.writeHeader(packet, { source: 1, destination: 2, protocol: 17, totalLength: 40 })
  for (let length = 0; length < 40; length++) t.notOk(ipv4.isIpv4(packet.subarray(0, length)), `cut to ${length}`)
  t.ok(ipv4.isIpv4(packet))
  t.ok(ipv4.isIpv4(new Uint8Array([...packet, 0, 0])), 'padding behind it')
  const changed = (at: number, value: number): Uint8Array => Uint8Array.from(packet, (byte, i) => i === at ? value : byte)
  t.notOk(ipv4.isIpv4(changed(0, 0x65)), 'version 6')
  t.notOk(ipv4.isIpv4(changed(0, 0x44)), 'a header of 16 bytes')
  t.ok(ipv4.isIpv4(changed(0, 0x4a)), 'a header that is the whole packet')
  t.notOk(ipv4.isIpv4(changed(0, 0x4b)), 'a header longer than the packet')
  t.notOk(ipv4.isIpv4(changed(3, 19)), 'a total shorter than the header')
  t.notOk(ipv4.isIpv4(changed(2, 1)), 'a total longer than what is there')
})

t.test('TTL: decremented, with the checksum that a new computation gives', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 20, maxLength: 60 }), fc.integer({ min: 5, max: 15 }), fc.integer({ min: 0, max: 7 }), (bytes, words, at) => {
    const packet = new Uint8Array(at + Math.max(bytes.length, words * 4))
    packet.set(bytes, at)
    packet[at] = 0x40 | words
    const checksum = (): number => {
      ipv4.writeU16(packet, at + 10, 0)
      return fold(addWords(packet, at, at + words * 4))
    }
    ipv4.writeU16(packet, at + 10, checksum())
    const expected = packet.slice()
    if (packet[at + 8] <= 1) return !ipv4.decrementTtl(packet, at) && toHex(packet) === toHex(expected)
    if (!ipv4.decrementTtl(packet, at)) return false
    const updated = ipv4.readU16(packet, at + 10)
    expected[at + 8]--
    ipv4.writeU16(expected, at + 10, updated)
    return ipv4.headerChecks(packet, at) && toHex(packet) === toHex(expected) && checksum() === updated
  }), { numRuns: 10_000 })
  const packet = new Uint8Array(20)
  for (let id = 0; id < 0x10000; id++) { // each checksum there is
    ipv4.writeHeader(packet, { protocol: 17, source: 0x0a000001, destination: 0x0a000002, totalLength: 20, id, ttl: 1 + id % 255 })
    if (ipv4.decrementTtl(packet) !== (id % 255 > 0) || !ipv4.headerChecks(packet)) t.fail(`id ${id}`)
  }
  ipv4.writeHeader(packet, { protocol: 17, source: 1, destination: 2, totalLength: 20, ttl: 2 })
  packet[10] ^= 1
  t.ok(ipv4.decrementTtl(packet))
  t.notOk(ipv4.headerChecks(packet), 'a wrong checksum stays wrong')
  t.notOk(ipv4.decrementTtl(packet), 'TTL 1')
})

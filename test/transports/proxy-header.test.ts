import fc from 'fast-check'
import t from 'tap'
import { hex, mutate, random } from '../helpers/bytes.ts'
import { mutations } from '../helpers/sample.ts'
import { proxyV1, proxyV2, proxyV2Local, proxyV2Of, V2_SIGNATURE } from '../helpers/proxy-headers.ts'
import { decodeProxyHeader, MAX_V1_LINE, MAX_V2_LENGTH } from '../../src/transports/proxy-header.ts'
import type { Endpoint } from '../../src/types.ts'

const ROUNDS = mutations()

const SIGNATURE = '0d0a0d0a 000d0a51 5549540a'
const text = (line: string): Buffer => Buffer.from(line, 'latin1')

const good: Array<[name: string, header: Buffer, source: Endpoint | undefined]> = [
  ['v1, IPv4', text('PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n'), { host: '192.0.2.1', port: 56324 }],
  ['v1, the longest of IPv4', text('PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n'), { host: '255.255.255.255', port: 65535 }],
  ['v1, IPv6', text('PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n'), { host: '2001:db8::1', port: 1 }],
  ['v1, the longest of IPv6', text('PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n'), { host: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', port: 65535 }],
  ['v1, IPv6 in another form', text('PROXY TCP6 2001:0DB8:0:0:0:0:0:1 ::1 0 0\r\n'), { host: '2001:db8::1', port: 0 }],
  ['v1, IPv4 mapped into IPv6', text('PROXY TCP6 ::ffff:192.0.2.1 ::1 7 8\r\n'), { host: '192.0.2.1', port: 7 }],
  ['v1, unknown, short', text('PROXY UNKNOWN\r\n'), undefined],
  ['v1, unknown, the longest there is', text('PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n'), undefined],
  ['v1, unknown, anything', text('PROXY UNKNOWN \n\r \xff TCP4\r\n'), undefined],
  ['v2, IPv4', hex(`${SIGNATURE} 21 11 000c c0000201 c6336401 dc04 01bb`), { host: '192.0.2.1', port: 56324 }],
  ['v2, IPv6', hex(`${SIGNATURE} 21 21 0024 20010db8000000000000000000000001 20010db8000000000000000000000002 dc04 01bb`), { host: '2001:db8::1', port: 56324 }],
  ['v2, IPv4 mapped into IPv6', hex(`${SIGNATURE} 21 21 0024 00000000000000000000ffffc0000201 00000000000000000000ffffc6336401 dc04 01bb`), { host: '192.0.2.1', port: 56324 }],
  ['v2, with extensions', hex(`${SIGNATURE} 21 11 0013 c0000201 c6336401 dc04 01bb 040004 00000000`), { host: '192.0.2.1', port: 56324 }],
  ['v2, with extensions that are none', hex(`${SIGNATURE} 21 11 000e c0000201 c6336401 dc04 01bb ffff`), { host: '192.0.2.1', port: 56324 }],
  ['v2, the proxy itself', hex(`${SIGNATURE} 20 00 0000`), undefined],
  ['v2, the proxy itself, with addresses', hex(`${SIGNATURE} 20 11 000c c0000201 c6336401 dc04 01bb`), undefined],
  ['v2, the proxy itself, with too few', hex(`${SIGNATURE} 20 11 0001 c0`), undefined],
  ['v2, unspecified', hex(`${SIGNATURE} 21 00 0003 c00002`), undefined],
  ['v2, UDP', hex(`${SIGNATURE} 21 12 000c c0000201 c6336401 dc04 01bb`), undefined],
  ['v2, a Unix socket', Buffer.concat([hex(`${SIGNATURE} 21 31 00d8`), Buffer.alloc(216, 'x')]), undefined],
  ['v2, a family that is not known', hex(`${SIGNATURE} 21 ff 0000`), undefined],
  ['v2, the longest', proxyV2Of(0x21, 0x11, Buffer.alloc(MAX_V2_LENGTH, 1)), { host: '1.1.1.1', port: 0x0101 }]
]

/** What the decoder makes of it: its answer, or the code of its error. */
function outcome (bytes: Uint8Array): unknown {
  try {
    return decodeProxyHeader(bytes)
  } catch (err) {
    return (err as { code?: string }).code ?? err
  }
}

t.test('headers', async (t) => {
  for (const [name, header, source] of good) {
    const expected = source === undefined ? { length: header.length } : { length: header.length, source }
    t.strictSame(decodeProxyHeader(header), expected, name)
    t.strictSame(decodeProxyHeader(Buffer.concat([header, header])), expected, `${name}: what follows is not looked at`)
  }
})

t.test('every beginning of a header takes more', async (t) => {
  for (const [name, header] of good) {
    let wrong = 0
    for (let size = 0; size < header.length; size++) if (decodeProxyHeader(header.subarray(0, size)) !== 'more') wrong++
    t.equal(wrong, 0, name)
  }
})

t.test('what is no header', async (t) => {
  for (const start of [
    'GET / HTTP/1.1\r\n', 'PUT / HTTP/1.1\r\n', 'PROPFIND / HTTP/1.1\r\n', 'PRI * HTTP/2.0\r\n', 'PROXX', 'PROXY\t', 'proxy ', 'X', '\0',
    '\r\n\r\n\r', '\r\n\r\n\0\r\nQUIT\r', '\x16\x03\x01\x02\0', ' PROXY TCP4'
  ]) t.equal(decodeProxyHeader(text(start)), 'none', JSON.stringify(start))
  t.equal(decodeProxyHeader(hex(SIGNATURE.replace(/0a$/, '0b'))), 'none')
})

t.test('malformed headers', async (t) => {
  const lines = [
    'PROXY \r\n',
    'PROXY TCP4\r\n',
    'PROXY UNKNOWNX\r\n',
    'PROXY unknown\r\n',
    'PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n',
    'PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n',
    'PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n',
    'PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1.5 2\r\n',
    'PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n',
    'PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n',
    'PROXY TCP4 0xc0000201 192.0.2.2 1 2\r\n',
    'PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n',
    'PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n',
    'PROXY TCP4 192.0.2.1 2001:db8::2 1 2\r\n',
    'PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n',
    'PROXY TCP6 2001:db8::1 192.0.2.2 1 2\r\n',
    'PROXY TCP6 fe80::1%lo fe80::2 1 2\r\n',
    'PROXY TCP6 2001:db8::g 2001:db8::2 1 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n'
  ]
  for (const line of lines) t.throws(() => decodeProxyHeader(text(line)), { name: 'ProxyHeaderError', code: 'ERR_PROXY_HEADER' }, JSON.stringify(line))
  for (const rest of ['11', '01', '22', '2f', '00', 'ff']) t.throws(() => decodeProxyHeader(hex(`${SIGNATURE} ${rest}`)), { code: 'ERR_PROXY_HEADER' }, `version and command ${rest}, at once`)
  for (const rest of ['21 11 0000', '21 11 000b', '21 21 0023', '21 21 000c']) t.throws(() => decodeProxyHeader(hex(`${SIGNATURE} ${rest}`)), { code: 'ERR_PROXY_HEADER' }, `no room for addresses: ${rest}, before they come`)
})

t.test('bounds', async (t) => {
  const line = (size: number): Buffer => text('PROXY UNKNOWN '.padEnd(size - 2, 'x') + '\r\n')
  t.same(decodeProxyHeader(line(MAX_V1_LINE)), { length: MAX_V1_LINE })
  t.throws(() => decodeProxyHeader(line(MAX_V1_LINE + 1)), { code: 'ERR_PROXY_HEADER' })
  t.equal(decodeProxyHeader(line(1000).subarray(0, MAX_V1_LINE - 1)), 'more')
  t.throws(() => decodeProxyHeader(line(1000).subarray(0, MAX_V1_LINE)), { code: 'ERR_PROXY_HEADER' }, 'a line that is too long is refused before its end')
  for (const command of ['20 00', '21 00', '21 11', '21 21']) {
    t.equal(decodeProxyHeader(hex(`${SIGNATURE} ${command} 1000`)), 'more', command)
    t.throws(() => decodeProxyHeader(hex(`${SIGNATURE} ${command} 1001`)), { code: 'ERR_PROXY_HEADER' }, `${command}: the length alone is enough`)
  }
  for (const start of [V2_SIGNATURE, text('PROXY ')]) {
    const endless = Buffer.concat([start, Buffer.alloc(16 + MAX_V2_LENGTH, 0x21)])
    t.not(outcome(endless), 'more', 'nobody is kept waiting for ever')
  }
})

const address = fc.oneof(
  fc.ipV4().map((host) => ({ host, back: host })),
  fc.ipV6().filter((host) => !host.includes('.')).map((host) => ({ host, back: new URL(`http://[${host}]/`).hostname.slice(1, -1) }))
).filter(({ back }) => !back.startsWith('::ffff:')) // shown as IPv4

t.test('property: what was encoded is decoded, whatever follows', async (t) => {
  fc.assert(fc.property(address, fc.integer({ min: 0, max: 0xffff }), fc.uint8Array(), fc.uint8Array({ maxLength: 300 }), ({ host, back }, port, rest, extensions) => {
    for (const header of [proxyV1({ host, port }), proxyV2({ host, port }), proxyV2({ host, port }, extensions)]) {
      t.strictSame(decodeProxyHeader(Buffer.concat([header, rest])), { length: header.length, source: { host: back, port } })
    }
  }), { numRuns: 200 })
})

t.test('property: what is said of a beginning stays true, and nothing but its own error is thrown', async (t) => {
  const anything = fc.oneof(
    fc.uint8Array(),
    fc.uint8Array().map((bytes) => Buffer.concat([V2_SIGNATURE, bytes])),
    fc.uint8Array().map((bytes) => Buffer.concat([V2_SIGNATURE, hex('21 11 00'), bytes])),
    fc.string().map((rest) => text(`PROXY ${rest}\r\n`)),
    fc.array(fc.constantFrom('TCP4', 'TCP6', 'UNKNOWN', ' ', '192.0.2.1', '::1', '1', '65536', '\r', '\n', '\r\n')).map((words) => text(`PROXY ${words.join(' ')}`))
  )
  fc.assert(fc.property(anything, fc.nat(), (bytes, at) => {
    const beginning = outcome(bytes.subarray(0, at % (bytes.length + 1)))
    t.ok(beginning === 'more' || beginning === 'none' || beginning === 'ERR_PROXY_HEADER' || typeof beginning === 'object')
    if (beginning !== 'more') t.strictSame(outcome(bytes), beginning)
  }), { numRuns: 500 })
})

t.test('mutations', async (t) => {
  const headers = [...good.map(([, header]) => header).filter((header) => header.length < 300), proxyV2Local()]
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const below = random(seed)
    const bytes = mutate(headers[below(headers.length)], below)
    const whole = outcome(bytes)
    if (whole instanceof Error) t.fail(`seed ${seed}: ${String(whole)}`)
    if (whole === 'more' || whole === 'none' || typeof whole === 'string') continue
    const { length } = whole as { length: number }
    if (length > bytes.length || length < 15) t.fail(`seed ${seed}: a header of ${length} in ${bytes.length} bytes`)
    if (outcome(bytes.subarray(0, length - 1)) !== 'more') t.fail(`seed ${seed}: ended early`)
  }
  t.pass()
})

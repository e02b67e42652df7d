/** A port is mapped by a gateway, renewed and removed; a gateway that says anything else harms nothing. */
import t, { type Test } from 'tap'
import { goodActions, goodPmp, natPmp, PMP_ADDRESS, pmpMapped, upnp } from '../helpers/nat/gateway.ts'
import { PortMapping, type PortMappingInit, type PortMappingStatus } from '../../src/nat/index.ts'
import { defaultGateway } from '../../src/nat/port-mapping/search.ts'
import { OptionError } from '../../src/errors.ts'
import { sample } from '../helpers/sample.ts'

t.setTimeout(300_000) // each mapping starts a thread, which loads the package

const UPNP = { protocols: ['upnp'] } as const
const NAT_PMP = { protocols: ['nat-pmp'] } as const

/** A mapping, and its status once it does not look any more. */
function started (t: Test, init: Partial<PortMappingInit> = {}): { mapping: PortMapping, settled: Promise<PortMappingStatus> } {
  let settle: (status: PortMappingStatus) => void = () => {}
  const settled = new Promise<PortMappingStatus>((resolve) => { settle = resolve })
  const mapping = new PortMapping({ address: '127.0.0.1', port: 5000, gateway: PMP_ADDRESS, timeout: 100_000, onChange (status) { if (status.state !== 'looking') settle(status) }, ...init })
  t.teardown(() => mapping.close())
  mapping.start()
  return { mapping, settled }
}

t.test('by NAT-PMP: mapped for an hour, and removed at the end', async (t) => {
  const seen = await natPmp(t, goodPmp('203.0.113.7'))
  const { mapping, settled } = started(t)
  t.same(await settled, { state: 'mapped', external: { host: '203.0.113.7', port: 6000 }, by: 'nat-pmp' })
  t.equal(seen[0], 'map 5000 3600')
  await mapping.close()
  t.match(mapping.status, { state: 'off' })
  t.ok(seen.includes('map 5000 0'), 'removed')
})

t.test('by UPnP: the same', async (t) => {
  const seen = await upnp(t, { act: goodActions('203.0.113.7') })
  const { mapping, settled } = started(t, UPNP)
  t.same(await settled, { state: 'mapped', external: { host: '203.0.113.7', port: 6000 }, by: 'upnp' })
  t.match(seen[0], /^AddAnyPortMapping .*Protocol=UDP InternalPort=5000 InternalClient=127.0.0.1 .*LeaseDuration=3600$/)
  await mapping.close()
  t.equal(seen.at(-1), 'DeletePortMapping RemoteHost= ExternalPort=6000 Protocol=UDP')
})

t.test('a gateway that is behind a NAT itself is told as such, and its mapping removed', async (t) => {
  for (const host of ['100.64.0.9', '10.1.2.3', '192.168.0.2'].slice(0, sample('addresses', { short: 1, long: 3 }))) {
    await t.test(host, async (t) => {
      const seen = await natPmp(t, goodPmp(host))
      t.same(await started(t).settled, { state: 'none', reason: `double NAT: the address of the gateway, ${host}, is not public` })
      t.ok(seen.includes('map 5000 0'))
    })
  }
})

t.test('no gateway', async (t) => {
  t.match(await started(t, { gateway: '127.0.0.6' }).settled, { state: 'none' })
})

t.test('answers of NAT-PMP that are none', async (t) => {
  const answers: Record<string, (request: Buffer) => Buffer> = {
    'one byte': () => Buffer.alloc(1),
    'no bytes': () => Buffer.alloc(0),
    'cut short': () => pmpMapped(6000, 5000, 3600).subarray(0, 11),
    garbage: () => Buffer.alloc(60_000, 0x81),
    'an error': () => Buffer.from([0, 129, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
  }
  for (const [name, answer] of Object.entries(answers).slice(0, sample('answers', { short: 1, long: 5 }))) {
    await t.test(name, async (t) => {
      await natPmp(t, answer)
      t.match(await started(t, NAT_PMP).settled, { state: 'none' })
    })
  }
})

t.test('gateways that name no endpoint', async (t) => {
  for (const [host, port] of ([['127.0.0.1', 6000], ['203.0.113.7', 0], ['0.0.0.0', 6000], ['224.0.0.1', 6000]] as const).slice(0, sample('endpoints', { short: 2, long: 4 }))) {
    await t.test(`${host}:${port}`, async (t) => {
      await natPmp(t, goodPmp(host, port))
      t.same(await started(t).settled, { state: 'failed', reason: 'nat-pmp: the gateway names no endpoint' })
    })
  }
})

t.test('answers of UPnP that are none', async (t) => {
  const forever = (response: { setHeader (name: string, value: string): unknown, write (part: Buffer): boolean, once (event: string, then: () => void): unknown, destroyed: boolean }): void => {
    response.setHeader('content-type', 'text/xml')
    const more = (): void => { while (!response.destroyed && response.write(Buffer.alloc(65_536, '<'))); if (!response.destroyed) response.once('drain', more) }
    more()
  }
  const answers: Record<string, Parameters<typeof upnp>[1]> = {
    'an endless description': { describe: forever },
    'a control URL elsewhere': { control: 'http://127.0.0.2:1/x' },
    'an endless answer': { act (_action, response) { forever(response); return undefined } },
    'a location elsewhere': { location: 'http://127.0.0.2:1/x' },
    'a description that is no XML': { describe (response) { response.setHeader('content-type', 'text/xml').end('\0<<<>>>&&&') } },
    'a deep description': { describe (response) { response.setHeader('content-type', 'text/xml').end('<a>'.repeat(20_000)) } },
    'an empty description': { describe (response) { response.setHeader('content-type', 'text/xml').end('<root/>') } },
    'another place': { describe (response) { response.writeHead(302, { location: 'http://127.0.0.2:1/' }).end() } },
    'an answer without a port': { act: () => '<x/>' },
    'an address that is none': { act: goodActions('&lt;script&gt;') }
  }
  for (const [name, init] of Object.entries(answers).slice(0, sample('answers', { short: 4, long: 10 }))) {
    await t.test(name, async (t) => {
      const seen = await upnp(t, init)
      const status = await started(t, UPNP).settled
      t.match(status.state, /^(?:none|failed)$/, status.reason ?? '')
      if (name.endsWith('elsewhere')) t.same(seen, [])
    })
  }
})

t.test('a gateway that never answers: an attempt ends by the clock, and so does the end', async (t) => {
  await upnp(t, { act: () => undefined })
  const { mapping, settled } = started(t, { ...UPNP, timeout: 1000 })
  t.same(await settled, { state: 'failed', reason: 'no result within 1000 ms' })
  await mapping.close()
  mapping.start()
  t.equal(mapping.status.state, 'off', 'it does not begin again')
})

t.test('the signal ends it, also before it has begun', async (t) => {
  const leave = new AbortController()
  const { mapping } = started(t, { signal: leave.signal })
  leave.abort()
  await mapping.close()
  t.equal(mapping.status.state, 'off')
  const late = started(t, { signal: leave.signal })
  t.equal(late.mapping.status.state, 'off')
})

t.test('options that cannot work', async (t) => {
  for (const bad of [{ port: 0 }, { address: 'x' }, { protocols: [] }, { protocols: ['x' as 'upnp'] }, { gateway: '::1' }, { timeout: 0 }]) {
    t.throws(() => new PortMapping({ address: '127.0.0.1', port: 5000, ...bad }), OptionError, JSON.stringify(bad))
  }
})

t.test('the default route', async (t) => {
  const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n'
  const line = (destination: string, gateway: string, flags: string, metric: number, mask: string): string => `eth0\t${destination}\t${gateway}\t${flags}\t0\t0\t${metric}\t${mask}\t0\t0\t0\n`
  t.equal(defaultGateway(head + line('00000000', '0101A8C0', '0003', 100, '00000000') + line('0001A8C0', '00000000', '0001', 0, '00FFFFFF')), '192.168.1.1')
  t.equal(defaultGateway(head + line('00000000', '0101A8C0', '0003', 100, '00000000') + line('00000000', '0201A8C0', '0003', 50, '00000000')), '192.168.1.2')
  for (const none of ['', head, 'garbage', head + line('00000000', '00000000', '0001', 0, '00000000'), head + line('00000000', 'zz', '0003', 0, '00000000')]) t.equal(defaultGateway(none), undefined)
})

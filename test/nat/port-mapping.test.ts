/** A port is mapped by a gateway, renewed and removed; a gateway that says anything else harms nothing. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import * as portMapper from '@achingbrain/nat-port-mapper'
import t, { type Test } from 'tap'
import { startScript, type Program } from '../helpers/programs/program.ts'
import { goodActions, goodPmp, natPmp, PMP_ADDRESS, pmpMapped, upnp } from '../helpers/nat/gateway.ts'
import { PortMapping, type PortMappingStatus } from '../../src/nat/index.ts'
import { boundedFetch } from '../../src/nat/port-mapping/bounded-fetch.ts'
import { Gateways } from '../../src/nat/port-mapping/gateways.ts'
import type { HeldMapping, MappingAnswer, MappingTask } from '../../src/nat/port-mapping/messages.ts'
import { defaultGateway } from '../../src/nat/port-mapping/search.ts'
import { OptionError } from '../../src/errors.ts'

const TASK: MappingTask = { kind: 'map', address: '127.0.0.1', port: 5000, gateway: PMP_ADDRESS, protocols: ['nat-pmp', 'upnp'], lease: 3600, held: undefined }
const MAPPER = fileURLToPath(new URL('../helpers/nat/mapper.ts', import.meta.url))
const UPNP = { protocols: ['upnp'] } as const
const NAT_PMP = { protocols: ['nat-pmp'] } as const

/** What a thread does, in this one: an error that nobody catches fails the test. */
async function ask (t: Test, task: Partial<MappingTask> = {}): Promise<MappingAnswer> {
  const { fetch } = globalThis
  t.teardown(() => { globalThis.fetch = fetch })
  const hosts = new Set<string>()
  globalThis.fetch = boundedFetch(fetch, hosts)
  const all = { ...TASK, ...task }
  const gateways = new Gateways(portMapper, all, hosts)
  const answer = await (all.kind === 'unmap' ? gateways.unmap(all.held as HeldMapping) : gateways.map())
  globalThis.fetch = fetch
  return answer
}

interface Mapper {
  program: Program
  tell (command: string): void
  status (state: string): Promise<PortMappingStatus>
}

/** A mapping in a process of its own, not begun. */
function mapper (t: Test, init: object, imports: readonly string[] = []): Mapper {
  const program = startScript(t, MAPPER, [JSON.stringify({ gateway: PMP_ADDRESS, ...init })], { env: { NODE_OPTIONS: '' }, stdin: 'pipe', imports })
  return {
    program,
    tell: (command) => { program.child.stdin?.write(`${command}\n`) },
    status: async (state) => JSON.parse((await program.find(new RegExp(`^status (.*"state":"${state}".*)$`, 'm')))[1])
  }
}

t.test('in threads, by NAT-PMP: mapped for an hour, renewed, and removed at the end', async (t) => {
  const requests = new EventTarget()
  const seen = await natPmp(t, (request) => { requests.dispatchEvent(new Event('request')); return goodPmp('203.0.113.7')(request) })
  const { program, tell, status } = mapper(t, NAT_PMP)
  tell('start')
  t.same(await status('mapped'), { state: 'mapped', external: { host: '203.0.113.7', port: 6000 }, by: 'nat-pmp' })
  t.equal(seen[0], 'map 5000 3600')
  await program.find(/thread ends/)
  t.equal(program.stdout.match(/thread begins/g)?.length, 1, 'there is none between two requests')
  const before = seen.push('renewal')
  const request = once(requests, 'request')
  tell('pass 600000')
  await request
  t.equal(seen[before], 'map 5000 3600')
  tell('close')
  const { stdout } = await program.ended
  t.match(stdout, /closed {"state":"off"}/)
  t.ok(seen.includes('map 5000 0'), 'removed')
  t.equal(stdout.match(/thread begins/g)?.length, 3)
  t.equal(stdout.match(/thread ends/g)?.length, 3)
})

t.test('in threads, by UPnP: the same', async (t) => {
  const seen = await upnp(t, { act: goodActions('203.0.113.7') })
  const { program, tell, status } = mapper(t, UPNP)
  tell('start')
  t.same(await status('mapped'), { state: 'mapped', external: { host: '203.0.113.7', port: 6000 }, by: 'upnp' })
  t.match(seen[0], /^AddAnyPortMapping .*ExternalPort=5000 Protocol=UDP InternalPort=5000 InternalClient=127.0.0.1 .*LeaseDuration=3600$/)
  tell('close')
  await program.ended
  t.equal(seen.at(-1), 'DeletePortMapping RemoteHost= ExternalPort=6000 Protocol=UDP')
})

t.test('threads that take too much memory, and that nobody waits for; none without a start', async (t) => {
  const { program, tell } = mapper(t, {})
  tell('memory 5')
  t.match(JSON.parse((await program.find(/^answer (.*)$/m))[1]), { kind: 'failed', reason: /^the thread has failed: .*memory/ })
  tell('leave')
  await program.find(/(?:answer {"kind":"failed","reason":"closed","isGone":false}\n[^]*){2}/)
  tell('close')
  t.equal((await program.ended).stdout.match(/thread begins/g)?.length, 2)
})

t.test('the package is not installed: the status says so', async (t) => {
  const { tell, status } = mapper(t, {}, [new URL('../helpers/programs/without-port-mapper.js', import.meta.url).href])
  tell('start')
  t.same(await status('failed'), { state: 'failed', reason: 'the package @achingbrain/nat-port-mapper is not installed' })
})

t.test('each protocol is asked; a renewal asks first that which has made the mapping, for the port that it has', async (t) => {
  const pmp = await natPmp(t, goodPmp('203.0.113.7'))
  const actions = await upnp(t, { act: goodActions('203.0.113.8') })
  const held = { by: 'upnp', port: 6000, gateway: 'http://127.0.0.1:1/' } as const
  t.match(await ask(t, { held }), { kind: 'mapped', external: { host: '203.0.113.8' }, held: { by: 'upnp' } })
  t.same(pmp, [])
  t.match(actions[0], / ExternalPort=6000 .*InternalPort=5000 /)
  t.match(await ask(t), { kind: 'mapped', external: { host: '203.0.113.7' }, held: { by: 'nat-pmp', gateway: PMP_ADDRESS } })
  t.match(await ask(t, { gateway: undefined }), { kind: 'mapped', external: { host: '203.0.113.8' } })
})

t.test('the lease is that which the gateway grants, where that is less', async (t) => {
  let lease = 120
  await natPmp(t, (request) => request[1] === 0 ? goodPmp('203.0.113.7')(request) : pmpMapped(6000, 5000, lease))
  t.match(await ask(t, NAT_PMP), { kind: 'mapped', lease: 120 })
  lease = 0xffffffff
  t.match(await ask(t, NAT_PMP), { kind: 'mapped', lease: 3600 })
  lease = 0
  t.match(await ask(t, NAT_PMP), { kind: 'failed' })
})

t.test('a removal that fails is one: the lease will end', async (t) => {
  for (const held of [{ by: 'nat-pmp', port: 6000, gateway: '127.0.0.6' }, { by: 'upnp', port: 6000, gateway: 'http://127.0.0.1:1/' }, { by: 'upnp', port: 6000, gateway: 'x' }] as const) {
    t.same(await ask(t, { kind: 'unmap', held }), { kind: 'unmapped' })
  }
})

t.test('a gateway that is behind a NAT itself is told as such, and its mapping removed', async (t) => {
  for (const host of ['100.64.0.9', '10.1.2.3', '192.168.0.2']) {
    await t.test(host, async (t) => {
      const seen = await natPmp(t, goodPmp(host))
      t.same(await ask(t), { kind: 'none', isGone: true, reason: `double NAT: the address of the gateway, ${host}, is not public` })
      t.ok(seen.includes('map 5000 0'))
    })
  }
})

t.test('no gateway', async (t) => {
  t.match(await ask(t, { gateway: '127.0.0.6' }), { kind: 'none', isGone: false })
})

t.test('answers of NAT-PMP that are none', async (t) => {
  const answers: Record<string, (request: Buffer) => Buffer> = {
    'one byte': () => Buffer.alloc(1),
    'no bytes': () => Buffer.alloc(0),
    'cut short': () => pmpMapped(6000, 5000, 3600).subarray(0, 11),
    garbage: () => Buffer.alloc(60_000, 0x81),
    'an error': () => Buffer.from([0, 129, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
  }
  for (const [name, answer] of Object.entries(answers)) {
    await t.test(name, async (t) => {
      await natPmp(t, answer)
      t.match(await ask(t, NAT_PMP), { kind: 'none', isGone: false })
    })
  }
})

t.test('gateways that name no endpoint', async (t) => {
  for (const [host, port] of ([['127.0.0.1', 6000], ['203.0.113.7', 0], ['0.0.0.0', 6000], ['224.0.0.1', 6000]] as const)) {
    await t.test(`${host}:${port}`, async (t) => {
      await natPmp(t, goodPmp(host, port))
      t.same(await ask(t), { kind: 'failed', isGone: true, reason: 'nat-pmp: the gateway names no endpoint' })
    })
  }
})

t.test('answers of UPnP that are none', async (t) => {
  /** What cannot be written waits in the kernel, and once in the response. */
  let written = 0
  const forever = (response: ServerResponse): void => {
    const more = (): void => {
      while (!response.destroyed) {
        written += 65_536
        if (!response.write(Buffer.alloc(65_536, '<'))) return
      }
    }
    response.setHeader('content-type', 'text/xml').on('drain', more)
    more()
  }
  const bomb = gzipSync(Buffer.alloc(50_000_000))
  const answers: Record<string, Parameters<typeof upnp>[1]> = {
    'an endless description': { describe: forever },
    'a description that grows when it is decompressed': { describe (response) { response.writeHead(200, { 'content-type': 'text/xml', 'content-encoding': 'gzip' }).end(bomb) } },
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
  for (const [name, init] of Object.entries(answers)) {
    await t.test(name, async (t) => {
      const seen = await upnp(t, init)
      const answer = await ask(t, UPNP)
      t.match(answer, { kind: /^(?:none|failed)$/ }, JSON.stringify(answer))
      if (name.endsWith('elsewhere')) t.same(seen, [])
      t.ok(written < 64 * 2 ** 20, `${written} bytes were sent`)
      written = 0
    })
  }
})

t.test('the signal ends it, also before it has begun', async (t) => {
  const leave = new AbortController()
  const make = (): PortMapping => new PortMapping({ address: '127.0.0.1', port: 5000, signal: leave.signal })
  const mapping = make()
  mapping.start()
  t.equal(mapping.status.state, 'looking')
  leave.abort()
  await mapping.close()
  t.equal(mapping.status.state, 'off')
  mapping.start()
  const late = make()
  late.start()
  t.same([mapping.status.state, late.status.state], ['off', 'off'], 'nor begins again')
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

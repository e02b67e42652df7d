import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openTun } from '../../src/tun/index.ts'
import { STRIP_TYPES } from '../helpers/programs/executables.ts'
import { Program } from '../helpers/programs/program.ts'
import { killGroup } from '../helpers/programs/reaper.ts'

const fixture = fileURLToPath(new URL('../helpers/tun/device.ts', import.meta.url))
const link = fileURLToPath(new URL('../helpers/tun/link.ts', import.meta.url))
const withoutKoffi = new URL('../helpers/programs/without-koffi.js', import.meta.url).href
const deafToTun = new URL('../helpers/tun/deaf-to-tun.js', import.meta.url).href
const withoutLoop = new URL('../helpers/tun/without-loop.js', import.meta.url).href

/** Milliseconds that a scenario may take. */
const PATIENCE = 40_000

interface Ended {
  code: number | null
  killed: boolean
  stderr: string
  said: any
}

/** Runs a scenario of the fixture in a network namespace that ends with it. */
async function inNamespace (scenario: string, poll: string, { mounts = false, imports = [] as string[] } = {}): Promise<Ended> {
  const node = [process.execPath, ...STRIP_TYPES, ...imports.flatMap((url) => ['--import', url]), fixture, scenario, poll]
  const args = mounts
    ? ['-n', '-m', 'sh', '-c', 'mount -t tmpfs none /dev/net && exec "$@"', 'sh', ...node]
    : ['-n', ...node]
  const program = new Program('unshare', args, { env: { UV_THREADPOOL_SIZE: '2' } })
  let killed = false
  const timer = setTimeout(() => { killed = killGroup(program.child.pid as number) }, PATIENCE)
  const { code, stdout, stderr } = await program.ended
  clearTimeout(timer)
  return { code, killed, stderr, said: stdout === '' ? undefined : JSON.parse(stdout) }
}

t.test('options and platforms', async (t) => {
  for (const name of ['x'.repeat(16), 'a/b', 'a b', 'a:b', 'tun%d', 'ä', '.', '..', 'a\0']) await t.rejects(openTun({ name }), { code: 'ERR_OPTION' }, JSON.stringify(name))
  for (const mtu of [0, 67, 65_536, 1.5, NaN]) await t.rejects(openTun({ mtu }), { code: 'ERR_OPTION' })
  for (const poll of ['', 'x', 'threads', 1]) await t.rejects(openTun({ poll: poll as 'loop' }), { code: 'ERR_OPTION' }, `poll: ${poll}`)
  const platform = Object.getOwnPropertyDescriptor(process, 'platform')
  t.teardown(() => Object.defineProperty(process, 'platform', platform ?? {}))
  Object.defineProperty(process, 'platform', { value: 'darwin' })
  await t.rejects(openTun(), { name: 'TunError', code: 'ERR_TUN_PLATFORM' })
})

const possible = process.getuid?.() === 0 && existsSync('/dev/net/tun') && spawnSync('unshare', ['-n', 'sh', '-c', 'command -v ping && ip link set lo up']).status === 0
if (!possible && process.env.CI !== 'true') {
  t.test('real TUN devices', { skip: 'need root, /dev/net/tun, network namespaces, ip and ping' }, async () => {})
} else {
  for (const poll of ['loop', 'thread']) {
    t.spawn('unshare', ['-n', process.execPath, ...STRIP_TYPES, link, poll], {}, `as a link, waiting by ${poll}`)
    t.test(`waiting by ${poll}`, { timeout: 110_000 }, async (t) => {
      t.strictSame(await inNamespace('life', poll), {
        code: 0,
        killed: false,
        stderr: '',
        said: {
          name: 'tp0',
          mtu: 1300,
          up: true,
          addresses: ['10.99.0.1/24'],
          routes: ['10.99.0.0/24 tp0'],
          pinged: true,
          asked: ['10.99.0.7'],
          ended: 'end',
          counted: true,
          closed: 0,
          setAfter: 'ERR_TUN_CLOSED',
          left: ['lo'],
          inherited: [],
          leaked: 0
        }
      }, 'from open to close')
      t.match(await inNamespace('drops', poll), { code: 0, said: { garbage: 3, down: 2, asked: [], tooLong: 1, ended: 'enough' } }, 'drops are counted; abort')
      t.match(await inNamespace('several', poll), {
        code: 0,
        said: { pinged: [true, true, true], jobs: 10, others: [true, true], links: 3, fifth: true, ended: ['end', 'end', 'end', 'end'] }
      }, 'several devices leave the pool to others')
      t.match(await inNamespace('busy', poll), {
        code: 0,
        said: { pinged: [true, true, true, true], done: [true, true, true, true], ended: ['end', 'end', 'end', 'end'] }
      }, 'four devices, files, names and cryptography at once')
      t.strictSame((await inNamespace('carry', poll)).said, {
        isHeld: true,
        held: ['10.99.0.7'],
        taken: ['10.99.0.7', '10.99.0.8', '10.99.0.9'],
        failures: ['ERR_LINK_BUSY', 'ERR_LINK_BUSY', 'enough', 'enough'],
        closed: 'none',
        aborted: 'enough',
        gone: 'ERR_TUN_GONE',
        late: 'ERR_TUN_GONE'
      }, 'a reader that is called')
      t.match(await inNamespace('gone', poll), { code: 0, said: { pinged: true, ended: 'ERR_TUN_GONE', sent: 0, unhurt: true, other: 'ERR_TUN_GONE' } }, 'removed from outside')
      t.match(await inNamespace('exit', poll), { code: 3, killed: false }, 'process.exit() does not wait')
      t.match(await inNamespace('throw', poll), { code: 1, killed: false, stderr: /uncaught/ }, 'an uncaught exception ends the process')
      t.match(await inNamespace('sigterm', poll), { code: 0, said: { ended: 'end' } }, 'SIGTERM handled by close')
      t.match(await inNamespace('idle', poll), { code: 0, said: { ended: 'end' } }, 'a device keeps the process alive until close')
    })
  }

  t.test('routes', async (t) => {
    const by = (gateway: string): string => `via ${gateway} dev tp0 proto 202 metric 50000 onlink`
    const [two, five] = ['10.99.0.2', '10.99.0.5'].map(by)
    t.strictSame(await inNamespace('routes', 'loop'), {
      code: 0,
      killed: false,
      stderr: '',
      said: {
        early: ['RTM_NEWROUTE 172.16.0.0/16: ENETDOWN: network is down'],
        refused: ['172.18.0.0/16 RTM_NEWROUTE 172.18.0.0/16: EINVAL: invalid argument'],
        first: [`172.16.0.0/16 ${two}`, `172.17.0.0/16 ${two}`, `192.168.9.7 ${by('192.0.2.9')}`],
        json: { dst: '172.16.0.0/16', gateway: '10.99.0.2', dev: 'tp0', protocol: '202', metric: 50_000, flags: ['onlink'] },
        used: 'lo',
        taken: [['172.20.0.0/16', 'ERR_TUN_SYSTEM', 'there is a route to 172.20.0.0/16 with the metric 50000 already']],
        beside: [
          '172.16.0.0/16 dev lo scope link', `172.16.0.0/16 ${two}`, '172.20.0.0/16 dev lo proto 202 scope link metric 50000',
          `172.21.0.0/16 ${two}`, '172.30.0.0/16 via 10.99.0.3 dev tp0'
        ],
        told: [`172.22.0.0/16 ${two}`, `172.21.0.0/16 ${five}`, `Deleted 172.21.0.0/16 ${two}`],
        quiet: [],
        pinged: true,
        asked: ['172.16.0.7'],
        kept: [true, true, true],
        counts: [0, 1024, 0, 1025, 0, 24, 1],
        leaked: 0,
        left: ['172.31.0.0/16 via 10.99.0.2 dev tp9 proto 202 metric 50000 onlink'],
        setAfter: 'ERR_TUN_CLOSED',
        gone: 'ERR_TUN_GONE'
      }
    })
    t.strictSame((await inNamespace('persistent', 'loop')).said, {
      during: [`172.17.0.0/16 ${two}`, `172.18.0.0/16 ${two}`, '172.30.0.0/16 via 10.99.0.3 dev tp0'],
      after: ['172.30.0.0/16 via 10.99.0.3 dev tp0'],
      device: ['lo', 'tp0']
    })
  })

  t.test('datagrams that are written as one', async (t) => {
    const { said } = await inNamespace('datagrams', 'loop')
    // a group before the damaged one, that one, and a group after it, to each of the two
    t.match(said, { plain: true, grouped: true, taken: 82, writes: said.isJoined === true ? 6 : 82 })
  })

  t.test('refusals', async (t) => {
    t.match(await inNamespace('errors', 'loop'), {
      code: 0,
      said: {
        taken: 'ERR_TUN_NAME_TAKEN',
        other: 'ERR_TUN_NAME_TAKEN',
        long: 'ERR_OPTION',
        reserved: ['ERR_OPTION', 'ERR_OPTION'],
        named: 15,
        chosen: 'tun0',
        unprivileged: { open: 'ERR_TUN_PERMISSION', address: 'ERR_TUN_PERMISSION', routes: 'ERR_TUN_PERMISSION' },
        left: ['lo']
      }
    })
    t.match(await inNamespace('missing', 'loop', { mounts: true }), { code: 0, said: { code: 'ERR_TUN_MISSING' } }, 'no /dev/net/tun')
    t.match(await inNamespace('missing', 'loop', { imports: [withoutKoffi] }), { code: 0, said: { code: 'ERR_TUN_KOFFI' } }, 'no koffi')
    t.match(await inNamespace('missed', 'loop', { imports: [deafToTun] }), { code: 0, said: { ended: ['ERR_TUN_GONE', 'ERR_TUN_GONE'] } }, 'removed, and polling has missed it')
    t.match(await inNamespace('missing', 'loop', { imports: [withoutLoop] }), { code: 0, said: { code: 'ERR_TUN_KOFFI' } }, 'a koffi that cannot wait on the event loop')
    t.match(await inNamespace('unasked', 'loop', { imports: [withoutLoop] }), { code: 0, said: { name: 'tun0' } }, 'where nobody asked for that')
  })
}

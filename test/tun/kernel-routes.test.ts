/** The talk with the kernel, without one: what it may answer, and what it never should. The real one is asked in linux.test.ts. */
import { openSync } from 'node:fs'
import { constants, endianness } from 'node:os'
import t from 'tap'
import { verifyRoutes } from '../../src/tun/device.ts'
import { replaceRoutes } from '../../src/tun/kernel-routes.ts'
import type { Libc } from '../../src/net/native/libc.ts'
import { addRoute } from '../../src/tun/rtnetlink.ts'
import { failureOf } from '../helpers/ends.ts'

const { EACCES, EAGAIN, EBUSY, EEXIST, EINTR, EINVAL, ENETUNREACH, ENODEV, ENOENT, EPERM, ESRCH } = constants.errno
const LITTLE = endianness() === 'LE'
const DEVICE = 7

const wanted = verifyRoutes(['172.16.0.0/16', '172.17.0.0/16', '172.18.0.0/16'].map((destination) => ({ destination, gateway: '10.77.0.2' })))
const asRoute = (network: number, metric = 50_000, device = DEVICE): Parameters<typeof addRoute>[1] => ({ network, prefix: 16, gateway: 0x0a4d0002, metric, device })

/** NLMSG_ERROR, or NLMSG_DONE at the end of a list. */
function end (sequence: number, errno: number, type = 2): Uint8Array {
  const message = new DataView(new ArrayBuffer(20))
  message.setUint32(0, 20, LITTLE)
  message.setUint16(4, type, LITTLE)
  message.setUint32(8, sequence, LITTLE)
  message.setInt32(16, -errno, LITTLE)
  return new Uint8Array(message.buffer)
}

/** What one `read` gives: bytes, or an errno. */
type Reading = Uint8Array | number

interface Kernel {
  libc: Libc
  /** What it was asked for: `list`, `add` or `remove` with the address of the network. */
  asked: string[]
}

/** Answers each request as the test says. */
function kernel (answer: (what: string, sequence: number) => Reading[]): Kernel {
  const asked: string[] = []
  const readings: Reading[] = []
  let errno: number = EBUSY
  const libc: Libc = {
    socketpair: () => -1,
    socket: () => openSync('/dev/null', 'r'),
    setsockopt: () => -1,
    bind: () => -1,
    connect: () => -1,
    getsockopt: () => -1,
    send: () => -1,
    getsockname: () => -1,
    getpeername: () => -1,
    address: () => 0,
    sendmmsg: () => -1,
    recvmmsg: () => -1,
    errno: () => errno,
    ioctl (_fd, _request, argument) {
      new DataView(argument.buffer).setInt32(16, DEVICE, LITTLE)
      return 0
    },
    write (_fd, from, length) {
      const view = new DataView(from.buffer)
      const type = view.getUint16(4, LITTLE)
      const what = type === 26 ? 'list' : `${type === 24 ? 'add' : 'remove'} ${from[32]}.${from[33]}`
      asked.push(what)
      readings.push(...answer(what, view.getUint32(8, LITTLE)))
      return length
    },
    read (_fd, into) {
      const reading = readings.shift() ?? EAGAIN
      if (typeof reading !== 'number') {
        into.set(reading)
        return reading.length
      }
      errno = reading
      return reading === 0 ? 0 : -1
    },
    ioctlNumber: () => -1,
    eventfd: () => -1,
    poll () {}
  }
  return { libc, asked }
}

/** With these routes at the beginning; says yes to everything that `refuse` has no errno for. */
const withRoutes = (routes: Array<Parameters<typeof addRoute>[1]>, refuse: Record<string, number> = {}): Kernel =>
  kernel((what, sequence) => what === 'list' ? [...routes.map((route) => addRoute(sequence, route, false)), end(sequence, 0, 3)] : [end(sequence, refuse[what] ?? 0)])

const replace = ({ libc }: Kernel, routes = wanted): unknown => replaceRoutes(libc, 'tp0', routes).map(({ route, reason }) => `${route.destination} ${reason.message}`)
const codeOf = async (kernel: Kernel): Promise<string | undefined> => (await failureOf((async () => replace(kernel))())).code

t.test('only the difference is asked for, new before old', async (t) => {
  const all = withRoutes([asRoute(0xac110000), asRoute(0xac200000), asRoute(0xac100000, 1), asRoute(0xac120000, 50_000, 8)])
  t.same(replace(all), [])
  t.same(all.asked, ['list', 'add 172.16', 'add 172.18', 'remove 172.32', 'remove 172.16'], 'one of another metric is replaced, one of another interface is nobody\'s business')
  const none = withRoutes([])
  replace(none, [])
  t.same(none.asked, ['list'])
})

t.test('a refusal concerns one route', async (t) => {
  const all = withRoutes([asRoute(0xac200000)], { 'add 172.16': EEXIST, 'add 172.17': ENETUNREACH, 'add 172.18': EINVAL })
  t.same(replace(all), [
    '172.16.0.0/16 there is a route to 172.16.0.0/16 with the metric 50000 already',
    '172.17.0.0/16 RTM_NEWROUTE 172.17.0.0/16: ENETUNREACH: network is unreachable',
    '172.18.0.0/16 RTM_NEWROUTE 172.18.0.0/16: EINVAL: invalid argument'
  ])
  t.same(all.asked, ['list', 'add 172.16', 'add 172.17', 'add 172.18', 'remove 172.32'])
})

t.test('what concerns all of them is thrown', async (t) => {
  for (const [errno, code] of [[ENODEV, 'ERR_TUN_GONE'], [EPERM, 'ERR_TUN_PERMISSION'], [EACCES, 'ERR_TUN_PERMISSION']] as const) {
    const all = withRoutes([], { 'add 172.16': errno })
    t.equal(await codeOf(all), code)
    t.same(all.asked, ['list', 'add 172.16'])
  }
  t.equal(await codeOf(withRoutes([asRoute(0xac200000)], { 'remove 172.32': EBUSY })), 'ERR_TUN_SYSTEM')
  t.same(replace(withRoutes([asRoute(0xac200000)], { 'remove 172.32': ESRCH })), [], 'but for one that somebody else has removed')
})

t.test('an empty table may be none at all', async (t) => {
  const list = (errno: number): Kernel => kernel((what, sequence) => [end(sequence, what === 'list' ? errno : 0)])
  t.same(replace(list(ENOENT)), [])
  t.equal(await codeOf(list(ENODEV)), 'ERR_TUN_GONE')
  t.equal(await codeOf(list(EBUSY)), 'ERR_TUN_SYSTEM')
})

t.test('answers in any number of reads, after interruptions, among others', async (t) => {
  const all = kernel((what, sequence) => what === 'list'
    ? [EINTR, addRoute(sequence, asRoute(0xac100000), false), end(sequence - 1, 1), Buffer.concat([end(sequence + 1, 5), addRoute(sequence, asRoute(0xac110000), false)]), end(sequence, 0, 3)]
    : [Buffer.concat([end(sequence + 7, EINVAL), end(sequence, 0)])])
  t.same(replace(all), [])
  t.same(all.asked, ['list', 'add 172.18'])
})

t.test('a kernel that does not answer, or with nonsense, is an error and no endless wait', async (t) => {
  for (const [what, reading] of [['nothing', EAGAIN], ['the end of the file', 0], ['half a message', end(1, 0).subarray(0, 19)]] as const) {
    t.equal(await codeOf(kernel(() => [reading])), 'ERR_TUN_SYSTEM', what)
  }
  const broken = withRoutes([])
  broken.libc.write = () => -1
  t.equal(await codeOf(broken), 'ERR_TUN_SYSTEM')
  const closed = withRoutes([])
  closed.libc.socket = () => -1
  t.equal(await codeOf(closed), 'ERR_TUN_SYSTEM')
})

t.test('routes that cannot be', async (t) => {
  const gateway = '10.77.0.2'
  for (const destination of ['', '172.16.0.0', '172.16.0.1/16', '172.16.0.0/33', '172.16.0/24', 'default', '::/0']) t.throws(() => verifyRoutes([{ destination, gateway }]), { code: 'ERR_OPTION' }, destination)
  for (const gateway of ['', '10.77.0', '10.77.0.2/24', '0.0.0.0', '255.255.255.255', '224.0.0.1', '::1']) t.throws(() => verifyRoutes([{ destination: '172.16.0.0/16', gateway }]), { code: 'ERR_OPTION' }, gateway)
  const [first] = [{ destination: '0.0.0.0/0', gateway }]
  t.same(verifyRoutes([first, { destination: '0.0.0.0/0', gateway: '10.77.0.3' }, { destination: '0.0.0.0/32', gateway }]), [
    { network: 0, prefix: 0, gateway: 0x0a4d0002, route: first },
    { network: 0, prefix: 32, gateway: 0x0a4d0002, route: { destination: '0.0.0.0/32', gateway } }
  ], 'the first to each network counts')
})

/** What the C library and the pollers cannot do reaches users of an interface as its own errors. */
import { openSync } from 'node:fs'
import { constants } from 'node:os'
import t from 'tap'
import { NativeError } from '../../src/net/native/native-error.ts'
import type { Libc } from '../../src/net/native/libc.ts'
import { threadPoller } from '../../src/net/native/poller-thread.ts'
import { TunError } from '../../src/tun/device.ts'
import { asTunError, withTunErrors } from '../../src/tun/native-errors.ts'

const { EMFILE } = constants.errno

t.test('a missing koffi and a failed call have the codes of an interface, and their cause', async (t) => {
  const cause = new Error('none')
  t.match(asTunError(new NativeError('ERR_NATIVE_KOFFI', 'none', { cause })), { name: 'TunError', code: 'ERR_TUN_KOFFI', message: 'a TUN device needs the optional package koffi: npm install koffi', cause })
  t.match(asTunError(NativeError.ofCall('eventfd', EMFILE)), { name: 'TunError', code: 'ERR_TUN_SYSTEM', message: 'eventfd: EMFILE: too many open files' })
  const other = new RangeError('mine')
  t.equal(asTunError(other), other)
})

/** A C library whose eventfd fails, or whose polls do. */
const failing = (eventfd: number): Libc => ({
  eventfd: () => eventfd,
  errno: () => EMFILE,
  read: () => 0,
  write: () => 0,
  poll: (fds: Uint8Array, count: number, timeout: number, done: (err: Error | null, ready: number) => void) => { setImmediate(done, null, -1) }
}) as unknown as Libc

t.test('a poller that cannot begin, and one whose polls keep failing', async (t) => {
  // one poller a process: the first watch fails, so that the second one opens it again
  const libc = failing(-1)
  const bare = threadPoller(libc)
  const failure = (() => { try { bare.watch(0, () => {}) } catch (err) { return err } })()
  t.match(failure, { name: 'NativeError', code: 'ERR_NATIVE_CALL', syscall: 'eventfd', errno: EMFILE })
  const poller = withTunErrors(bare)
  t.throws(() => poller.watch(0, () => {}), TunError)
  const fd = openSync('/dev/null', 'r') // the poller closes it
  libc.eventfd = () => fd
  const err = await new Promise<Error | undefined>((resolve) => {
    const handle = poller.watch(0, (err) => {
      handle.stop()
      resolve(err)
      void handle.close()
    })
    handle.start()
  })
  t.match(err, { name: 'TunError', code: 'ERR_TUN_SYSTEM', message: 'poll failed' })
})

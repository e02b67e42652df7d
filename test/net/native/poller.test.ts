/** Both pollers: readable, writable, errors, and the end. */
import { closeSync } from 'node:fs'
import t, { type Test } from 'tap'
import { turn, until } from '../../helpers/ends.ts'
import { ifNative } from '../../helpers/transports/udp-sockets.ts'
import { loadLibc, type Libc } from '../../../src/net/native/libc.ts'
import { loopPoller } from '../../../src/net/native/poller-loop.ts'
import { threadPoller } from '../../../src/net/native/poller-thread.ts'
import type { Poller, PollHandle } from '../../../src/net/native/poller.ts'
import { localEndpoint, socketAddress } from '../../../src/net/native/socket-address.ts'
import { AF_INET, IP_RECVERR, IPPROTO_IP, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM } from '../../../src/net/native/socket-numbers.ts'

const AF_UNIX = 1
const CHUNK = new Uint8Array(4096)

const quiet = async (): Promise<void> => { for (let i = 0; i < 100; i++) await turn() }

interface Watched {
  fd: number
  handle: PollHandle
  /** Times that it was ready. */
  ready: number
  onReady: () => void
}

class Bench {
  readonly #t: Test
  readonly #libc: Libc
  readonly #poller: Poller

  static async make (t: Test, kind: 'loop' | 'thread'): Promise<Bench> {
    const libc = await loadLibc()
    return new Bench(t, libc, kind === 'loop' ? loopPoller(libc) as Poller : threadPoller(libc))
  }

  constructor (t: Test, libc: Libc, poller: Poller) {
    this.#t = t
    this.#libc = libc
    this.#poller = poller
  }

  /** Watches one end of a connection; the other end. */
  pair (): [Watched, fd: number] {
    const fds = new Int32Array(2)
    if (this.#libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, new Uint8Array(fds.buffer)) < 0) throw new Error('no pair')
    this.#t.teardown(() => { closeSync(fds[1]) })
    return [this.watch(fds[0]), fds[1]]
  }

  watch (fd: number): Watched {
    const onReady = (): void => {
      watched.ready++
      watched.onReady()
    }
    const watched: Watched = { fd, ready: 0, onReady: () => {}, handle: this.#poller.watch(fd, onReady) }
    this.#t.teardown(() => this.close(watched))
    return watched
  }

  readonly #closed = new Set<Watched>()

  async close (watched: Watched): Promise<void> {
    if (this.#closed.has(watched)) return
    this.#closed.add(watched)
    await watched.handle.close()
    closeSync(watched.fd)
  }

  /** Writes until there is no room, or reads until there is nothing. */
  fill (fd: number): void { while (this.#libc.write(fd, CHUNK, CHUNK.length) > 0); }

  drain (fd: number): void { while (this.#libc.read(fd, CHUNK, CHUNK.length) > 0); }

  write (fd: number): void { this.#libc.write(fd, CHUNK, 1) }

  /** A UDP socket with an error that waits: nobody is at the port that it has sent to. */
  broken (): Watched {
    const socket = (): number => this.#libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    const address = (port: number): [Uint8Array, number] => [socketAddress('127.0.0.1', port), 16]
    const [fd, gone] = [socket(), socket()]
    this.#libc.bind(gone, ...address(0))
    const { port } = localEndpoint(this.#libc, gone)
    closeSync(gone)
    this.#libc.setsockopt(fd, IPPROTO_IP, IP_RECVERR, new Uint8Array([1, 0, 0, 0]), 4)
    this.#libc.connect(fd, ...address(port))
    const watched = this.watch(fd)
    this.#libc.send(fd, CHUNK, 1, 0)
    return watched
  }
}

for (const kind of ['loop', 'thread'] as const) {
  t.test(`${kind}: readable from start to stop, and again`, ifNative, async (t) => {
    const bench = await Bench.make(t, kind)
    const [watched, other] = bench.pair()
    bench.write(other)
    await quiet()
    t.equal(watched.ready, 0, 'not before it is started')
    watched.handle.start()
    await until(() => watched.ready > 3) // for as long as nobody reads
    watched.handle.stop()
    const { ready } = watched
    await quiet()
    t.equal(watched.ready, ready)
    watched.onReady = () => { bench.drain(watched.fd) }
    watched.handle.start()
    await until(() => watched.ready > ready)
    await quiet()
    t.equal(watched.ready, ready + 1, 'once for what was read')
    watched.handle.stop()
    watched.handle.start()
    bench.write(other)
    await until(() => watched.ready === ready + 2)
  })

  t.test(`${kind}: writable, once for each time that somebody waits, whether started or not`, ifNative, async (t) => {
    const bench = await Bench.make(t, kind)
    for (const isStarted of [false, true]) {
      const [watched, other] = bench.pair()
      watched.onReady = () => { bench.drain(watched.fd) }
      if (isStarted) watched.handle.start()
      let written = 0
      const wait = (): void => { watched.handle.whenWritable(() => { written++ }) }
      wait()
      await until(() => written === 1)
      await quiet()
      t.equal(written, 1)
      bench.fill(watched.fd)
      wait()
      await quiet()
      t.equal(written, 1, 'not while it is full')
      bench.write(other)
      if (isStarted) await until(() => watched.ready === 1)
      else await quiet()
      t.equal(watched.ready, isStarted ? 1 : 0, 'it is read meanwhile, where that is wanted')
      bench.drain(other)
      await until(() => written === 2)
      watched.handle.stop()
      bench.fill(watched.fd)
      wait()
      watched.handle.start()
      watched.handle.stop()
      bench.drain(other)
      await until(() => written === 3)
      const { ready } = watched
      watched.handle.start()
      bench.write(other)
      await until(() => watched.ready > ready)
      t.equal(written, 3)
    }
  })

  t.test(`${kind}: one that waits again as soon as it is writable does not hold up others`, ifNative, async (t) => {
    const bench = await Bench.make(t, kind)
    const [[writer], ...readers] = [bench.pair(), bench.pair(), bench.pair()]
    let written = 0
    const again = (): void => {
      written++
      writer.handle.whenWritable(again)
    }
    writer.handle.whenWritable(again)
    for (const [reader, other] of readers) {
      reader.onReady = () => { bench.drain(reader.fd) }
      reader.handle.start()
      bench.write(other)
    }
    await until(() => readers.every(([{ ready }]) => ready > 0))
    t.ok(written < 10, `${written} times`)
  })

  t.test(`${kind}: an error wakes who waits for either, and neither ends the reading nor spins where nobody waits`, ifNative, async (t) => {
    const bench = await Bench.make(t, kind)
    const watched = bench.broken()
    await quiet()
    t.equal(watched.ready, 0)
    let written = 0
    watched.handle.whenWritable(() => { written++ })
    await until(() => written === 1)
    watched.handle.start()
    await until(() => watched.ready > 3) // for as long as it is there
    watched.handle.stop()
    await quiet()
    const before = process.cpuUsage()
    await new Promise((resolve) => { setTimeout(resolve, 100) })
    const { user, system } = process.cpuUsage(before)
    t.ok(user + system < 90_000, `${user + system} µs of 100 ms`)
  })

  t.test(`${kind}: closed while it waits, by others and by itself`, ifNative, async (t) => {
    const bench = await Bench.make(t, kind)
    const [first, second, third] = [bench.pair(), bench.pair(), bench.pair()]
    let written = 0
    bench.fill(first[0].fd)
    first[0].handle.start()
    first[0].handle.whenWritable(() => { written++ })
    await quiet()
    await bench.close(first[0])
    bench.drain(first[1])
    first[0].handle.start()
    first[0].handle.whenWritable(() => { written++ })
    second[0].onReady = () => {
      void bench.close(second[0])
      void bench.close(third[0])
    }
    second[0].handle.start()
    third[0].handle.start()
    bench.write(second[1])
    await until(() => second[0].ready > 0)
    await quiet()
    t.same([first, second, third].map(([{ ready }]) => ready), [0, 1, 0])
    t.equal(written, 0)
    await first[0].handle.close()
  })
}

t.test('loop: an event that is read does not start the handle again, which costs two system calls', ifNative, async (t) => {
  const libc = await loadLibc()
  let starts = 0
  const onEvents: typeof libc.onEvents = (fd, wanted, ready) => {
    const handle = libc.onEvents?.(fd, wanted, ready)
    if (handle === undefined) throw new Error('no handle')
    return { ...handle, start: (wanted) => { starts++; handle.start(wanted) } }
  }
  const bench = new Bench(t, libc, loopPoller({ ...libc, onEvents }) as Poller)
  const [watched, other] = bench.pair()
  watched.onReady = () => { bench.drain(watched.fd) }
  watched.handle.start()
  for (let i = 1; i <= 10; i++) {
    bench.write(other)
    await until(() => watched.ready === i)
  }
  t.equal(starts, 0)
})

/**
 * Uses UDP sockets where the network is as wanted; started in a network namespace of its own, as `udp-network.ts <scenario> <io> <loop|thread>`.
 * What it saw goes to standard output as one JSON object.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { loadLibc } from '../../../src/net/native/libc.ts'
import { bindUdp, type BindUdpInit } from '../../../src/transports/udp/bind.ts'
import { dialUdp } from '../../../src/transports/udp/dial.ts'
import { NativeUdpSocket } from '../../../src/transports/udp/native/native-socket.ts'
import { NativeUdp } from '../../../src/transports/udp/native/native-udp.ts'
import { verifyUdp, type UdpIo, type UdpSocket } from '../../../src/transports/udp/socket.ts'
import type { Datagram, Endpoint } from '../../../src/types.ts'

const [, , scenario, io, poll] = process.argv as [string, string, keyof typeof scenarios, UdpIo, 'loop' | 'thread']

const ip = (...commands: string[]): void => { for (const command of commands) execFileSync('ip', command.split(' ')) }
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })
const quiet = async (): Promise<void> => { for (let i = 0; i < 50; i++) await turn() }
const until = async (condition: () => boolean): Promise<void> => { while (!condition()) await turn() }
const to = ({ host, port }: Endpoint, data: string | Uint8Array): Datagram => ({ data: typeof data === 'string' ? Buffer.from(data) : data, host, port })

const threaded = poll === 'thread' ? new NativeUdp({ ...await loadLibc(), onEvents: undefined }) : undefined

async function bind (host: string, { port = 0, ...init }: Partial<BindUdpInit> = {}): Promise<UdpSocket> {
  if (threaded === undefined) return await bindUdp({ host, port, io, ...init })
  const verified = verifyUdp({ io, ...init })
  return new NativeUdpSocket(threaded, threaded.bind({ host, port }, verified), verified)
}

/** The next so many datagrams: by whom, and the text before their padding. */
async function heard (socket: UdpSocket, count: number): Promise<Array<{ from: string, port: number, text: string, length: number }>> {
  const all: Array<{ from: string, port: number, text: string, length: number }> = []
  const reads = socket.source[Symbol.asyncIterator]()
  while (all.length < count) {
    const { done, value } = await reads.next()
    if (done === true) break
    all.push(...value.map(({ data, host, port }) => ({ from: host, port, text: Buffer.from(data).toString().trim(), length: data.length })))
  }
  return all
}

const texts = async (socket: UdpSocket, count: number): Promise<string[]> => (await heard(socket, count)).map(({ text }) => text)

const scenarios = {
  /** Ways that lead nowhere, in the order of the errors. */
  async unreachable () {
    const early = await bind('0.0.0.0')
    const count = async (socket: UdpSocket, host: string, total: (errors: UdpSocket['errors']) => number, isGrouped = true): Promise<UdpSocket['errors']> => {
      const before = total(socket.errors)
      socket.port.send([to({ host, port: 9 }, 'one')])
      socket.port.send(Array.from({ length: 9 }, (_, i) => to({ host, port: 9 }, isGrouped ? 'same size' : 'x'.repeat(i))))
      await until(() => total(socket.errors) >= before + 10)
      await quiet()
      return { ...socket.errors }
    }
    const noNetwork = await count(early, '192.0.2.7', ({ unreachable }) => unreachable)
    ip('link set lo up', 'route add unreachable 192.0.2.0/24', 'route add prohibit 198.51.100.0/24', 'route add blackhole 203.0.113.0/24')
    const noHost = await count(early, '192.0.2.7', ({ unreachable }) => unreachable)
    const prohibited = await count(early, '198.51.100.7', ({ other }) => other)
    const blackhole = await count(early, '203.0.113.7', ({ other }) => other)
    const six = await bind('::')
    const noNetwork6 = await count(six, '2001:db8::7', ({ unreachable }) => unreachable)
    ip('link add v0 type veth peer name v1', 'addr add 10.9.0.1/24 dev v0', 'link set v0 up', 'link set v1 up')
    for (const [name, value] of [['retrans_time_ms', '20'], ['mcast_solicit', '1']]) writeFileSync(`/proc/sys/net/ipv4/neigh/v0/${name}`, value)
    const other = await bind('0.0.0.0')
    const nobody = await count(other, '10.9.0.7', ({ unreachable }) => unreachable, false) // one error tells of a whole group
    const live = await bind('127.0.0.1')
    for (const socket of [early, other]) socket.port.send([to(live.local, 'live')])
    const arrived = await texts(live, 2)
    for (const socket of [early, six, other, live]) socket.close()
    return { noNetwork, noHost, prohibited, blackhole, noNetwork6, nobody, arrived }
  },

  /** A packet filter that lets nothing out to one port. */
  async firewall () {
    ip('link set lo up')
    const [socket, shut, live] = [await bind('127.0.0.1'), await bind('127.0.0.1'), await bind('127.0.0.1')]
    for (const rule of ['add table ip t', 'add chain ip t out { type filter hook output priority 0; }', `add rule ip t out udp dport ${shut.local.port} drop`]) execFileSync('nft', [rule])
    socket.port.send([to(shut.local, 'alone')])
    socket.port.send(Array.from({ length: 40 }, (_, i) => to(i % 20 < 10 ? shut.local : live.local, `${i}`.padEnd(100))))
    const arrived = (await texts(live, 20)).map(Number)
    await until(() => socket.errors.other >= 21)
    await quiet()
    const errors = { ...socket.errors }
    for (const each of [socket, shut, live]) each.close()
    return { errors, arrived: arrived.join() }
  },

  /** Datagrams that are larger than the way takes at once: groups of them are not, fragments are. */
  async fragments () {
    ip('link set lo up', 'link set lo mtu 1280')
    const results = []
    for (const host of ['127.0.0.1', '::1']) {
      const [socket, reader] = [await bind(host), await bind(host)]
      const sizes = [...Array(30).fill(5000), ...Array(30).fill(1200), ...Array(30).fill(1300), ...Array(30).fill(900), 65_507]
      for (let round = 0; round < 2; round++) {
        socket.port.send(sizes.map((size, i) => to(reader.local, `${i}`.padEnd(size))))
        const all = await heard(reader, sizes.length)
        results.push(all.every(({ text, length }, i) => text === `${i}` && length === sizes[i]))
      }
      results.push({ ...socket.errors }, socket.offloads.length, socket.reduced ?? 'all')
      for (const each of [socket, reader]) each.close()
    }
    return { results }
  },

  /** Addresses of a link, of an interface that has others as well. */
  async zones () {
    ip('link set lo up', 'link add veth0 type veth peer name veth1', 'link set veth0 up', 'link set veth1 up',
      'addr add 2001:db8::1/64 dev veth0 nodad', 'addr add fe80::aaaa/64 dev veth0 nodad', 'addr add fe80::bbbb/64 dev veth1 nodad')
    const [a, any] = [await bind('fe80::aaaa%veth0'), await bind('::')]
    const index = JSON.parse(execFileSync('ip', ['-j', 'link', 'show', 'veth0'], { encoding: 'utf8' }))[0].ifindex
    any.port.send([to({ host: 'fe80::aaaa%veth0', port: a.local.port }, 'by name'), to({ host: `fe80::aaaa%${index}`, port: a.local.port }, 'by number')])
    const asked = await heard(a, 2)
    for (const { from: host, port } of asked) a.port.send([to({ host, port }, 'answer')])
    const answered = await heard(any, 2)
    const link = await dialUdp({ host: 'fe80::aaaa%veth0', port: a.local.port, io })
    link.port.send([Buffer.from('dialled')])
    const [dialled] = await heard(a, 1)
    a.port.send([to({ host: dialled.from, port: dialled.port }, 'to the link')])
    const toLink = Buffer.from((await link.source[Symbol.asyncIterator]().next()).value[0]).toString()

    // an interface that comes later, and one that has another number by then
    const wrong = to({ host: 'fe80::1%later', port: 9 }, 'x')
    any.port.send([wrong])
    await until(() => io === 'node' || any.errors.other > 0)
    const made: string[] = []
    for (let round = 0; round < 2; round++) {
      ip('link add later type veth peer name other', 'link set later up', 'link set other up', 'addr add fe80::cccc/64 dev later nodad')
      const b = await bind('fe80::cccc%later')
      // The system may need a moment for its routes.
      const timer = setInterval(() => { any.port.send([to({ host: 'fe80::cccc%later', port: b.local.port }, `round ${round}`)]) }, 10)
      made.push((await texts(b, 1))[0])
      clearInterval(timer)
      b.close()
      ip('link del later')
    }
    for (const each of [a, any]) each.close()
    const { host } = link.local
    link.abort(new Error('enough'))
    return { local: a.local.host, asked: asked.map(({ from, text }) => `${from} ${text}`), answered: answered.map(({ from, text }) => `${from} ${text}`), dialled: dialled.from, linkLocal: host, toLink, made }
  },

  /** A port for which one needs a permission. */
  async permission () {
    ip('link set lo up')
    const allowed = await bind('127.0.0.1', { port: 1 })
    allowed.close()
    process.setuid?.(65_534)
    return { code: await bind('127.0.0.1', { port: 1 }).then(() => 'none', ({ code, syscall, address, port }) => ({ code, syscall, address, port })) }
  },

  /** A way to an echo behind a router, whose second half takes less than the first one: the first datagram is lost, by which that is known. */
  async routed () {
    const at = { host: process.argv[5], port: Number(process.argv[6]) }
    const socket = await bind('0.0.0.0')
    const echoes = async (count: number, size: number): Promise<boolean> => {
      const sent = Array.from({ length: count }, (_, i) => `${i}`.padEnd(size))
      socket.port.send(sent.map((text) => to(at, text)))
      const all = await heard(socket, count)
      return all.length === count && all.every(({ text, length }) => length === size && text === `${Number(text)}`) && new Set(all.map(({ text }) => text)).size === count
    }
    const small = await echoes(20, 1200)
    const before = { ...socket.errors }
    const group = io === 'batch' || await echoes(5, 1400) // Linux lets routers cut groups
    socket.port.send([to(at, Buffer.alloc(1400))])
    await until(() => socket.errors.tooLarge > 0)
    await quiet()
    const { tooLarge, ...others } = socket.errors
    const large = [await echoes(20, 1400), await echoes(20, 1400), await echoes(20, 1272), await echoes(20, 1273)]
    const more = socket.errors.tooLarge - tooLarge
    socket.close()
    return { small, group, before, tooLarge, others, large, more, offloads: socket.offloads }
  },

  /** The same way, and nothing in fragments: what is larger than it takes is lost, also of groups, however often it is sent. */
  async whole () {
    const [host, port, from, headers] = [process.argv[5], Number(process.argv[6]), process.argv[7], Number(process.argv[8])]
    const [path, near] = [1300 - headers, 1500 - headers]
    const socket = await bind(from, { fragment: false })
    const send = (count: number, size: number): void => { socket.port.send(Array.from({ length: count }, () => to({ host, port }, Buffer.alloc(size)))) }
    const echoes = async (count: number): Promise<number[]> => (await heard(socket, count)).map(({ length }) => length)
    const seen: number[] = []
    for (const [count, size] of [[1, near], [10, near], [30, path + 1], [1, path + 1]]) {
      send(count, size)
      send(4, 1000)
      seen.push(...await echoes(4))
    }
    for (const count of [1, 30, 10]) {
      send(count, path)
      seen.push(...await echoes(count))
    }
    await quiet()
    const told = socket.errors.tooLarge
    for (const count of [1, 5, 5]) send(count, near + 1)
    const local = socket.errors.tooLarge - told
    const { tooLarge, ...others } = socket.errors
    send(30, path)
    seen.push(...await echoes(30))
    const counts = Object.fromEntries([...new Set(seen)].map((size) => [size === path ? 'path' : size, seen.filter((other) => other === size).length]))
    socket.close()
    return { counts, isTold: told > 0, local, others, reduced: socket.reduced ?? 'all', fragments: socket.fragments }
  },

  /** A way that is slow: what has no room waits. */
  async full () {
    ip('link set lo up')
    execFileSync('tc', 'qdisc add dev lo root tbf rate 80mbit burst 100kb limit 4mb'.split(' '))
    const [sender, reader] = [await bind('127.0.0.1', { kernelBuffer: 100_000, sendLimit: 200_000 }), await bind('127.0.0.1')]
    const sizes = [1000, 1000, 1000, 1000, 1200, 900, 20, 0]
    const got: string[] = []
    const reading = (async () => { for await (const batch of reader.source) got.push(...batch.map(({ data }) => Buffer.from(data).toString())) })()
    const expected: string[] = []
    const most = { queued: 0, waits: 0, refused: 0 }
    for (let number = 0, round = 0; round < 1000; round++) {
      const batch = sizes.map((size) => `${number++}`.padEnd(size))
      const before = sender.port.queued
      const taken = sender.port.send(batch.map((text) => to(reader.local, text)))
      if (taken > 0) expected.push(...batch)
      else most.refused++
      if ((taken > 0) !== (before < sender.port.limit)) throw new Error(`${taken} were taken when ${before} waited`)
      most.queued = Math.max(most.queued, sender.port.queued)
      if (sender.port.queued >= sender.port.limit && round % 3 === 0) {
        most.waits++
        await sender.port.drained?.()
      }
    }
    await sender.port.drained?.()
    const queued = sender.port.queued
    await until(() => got.length >= expected.length)
    const { errors: { waits, ...errors } } = sender
    const { dropped } = reader
    reader.close()
    await reading
    const order = got.length === expected.length && got.every((text, i) => text === expected[i])

    // and those that wait when it ends
    const ends = []
    for (const end of ['close', 'abort'] as const) {
      const socket = await bind('127.0.0.1', { kernelBuffer: 5000, sendLimit: 200_000 })
      const nobody = { host: '127.0.0.1', port: 9 }
      for (let i = 0; i < 1000 && socket.port.queued === 0; i++) socket.port.send(Array.from({ length: 100 }, () => to(nobody, Buffer.alloc(1000))))
      const waited = socket.port.queued > 0
      const drained = socket.port.drained?.()
      if (end === 'close') socket.close()
      else socket.abort(new Error('enough'))
      await drained
      ends.push([end, waited, socket.port.queued, socket.port.send([to(nobody, 'late')])])
    }
    sender.close()
    return { order, count: expected.length > 1000, queued, most: { queued: most.queued >= 200_000 && most.queued < 220_000, waits: most.waits > 3, refused: most.refused > 0 }, waits: waits > 0, errors, dropped, ends }
  },

  /** A full way with errors that wait, while a busy reader takes nothing: the event loop turns, but does not spin. */
  async fullWithErrors () {
    ip('link set lo up')
    execFileSync('tc', 'qdisc add dev lo root tbf rate 10mbit burst 20kb limit 4mb'.split(' '))
    const [socket, gone] = [await bind('127.0.0.1', { kernelBuffer: 50_000 }), await bind('127.0.0.1')] as [Required<UdpSocket>, UdpSocket]
    let release = (): void => {}
    let isBusy = false
    const flowing = socket.flow(() => {
      isBusy = true
      return new Promise<void>((resolve) => { release = resolve })
    })
    socket.port.send([to(socket.local, 'to itself')])
    await until(() => isBusy)
    gone.close()
    while (socket.port.send([to(gone.local, Buffer.alloc(1000))]) > 0); // each is answered by an error
    const waited = socket.port.queued > 0
    const before = { waits: socket.errors.waits, cpu: process.cpuUsage() }
    await new Promise((resolve) => { setTimeout(resolve, 300) })
    const { user, system } = process.cpuUsage(before.cpu)
    const waits = socket.errors.waits - before.waits
    release()
    socket.close()
    await flowing
    const busy = (user + system) / 1000 // ms
    return { waited, unreachable: socket.errors.unreachable > 0, spins: busy > 250 || waits > 1000 }
  }
}

const result = await scenarios[scenario]()
console.log(JSON.stringify(result))

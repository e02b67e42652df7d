/** What a kernel, a system or an interface does not have is left out; the socket says so, and carries datagrams all the same. */
import { constants } from 'node:os'
import t, { type Test } from 'tap'
import { outputOf } from '../../helpers/programs/program.ts'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { bound, boundBy, heard, ifNative, nativeWith, to } from '../../helpers/transports/udp-sockets.ts'
import type { Libc } from '../../../src/net/native/libc.ts'
import { UDP_GRO, UDP_SEGMENT } from '../../../src/net/native/socket-numbers.ts'
import { nativeUdp } from '../../../src/transports/udp/native/native-udp.ts'
import type { UdpSocket } from '../../../src/transports/udp/socket.ts'

const { EINVAL, EIO } = constants.errno

const url = (path: string): string => new URL(`../../helpers/${path}`, import.meta.url).href

/** Datagrams of which groups can be made, and single ones. */
const TEXTS = Array.from({ length: 200 }, (_, i) => `${i}`.padEnd(i % 50 === 49 ? 10 : 100 + Math.floor(i / 80)))

/** Sends them all to each other. */
async function carries (t: Test, ...sockets: UdpSocket[]): Promise<void> {
  for (const [i, socket] of sockets.entries()) {
    const other = sockets[(i + 1) % sockets.length]
    socket.port.send(TEXTS.map((text) => to(other.local, text)))
    t.same(await heard(other, TEXTS.length), TEXTS)
    t.match([socket.errors, other.dropped], [{ unreachable: 0, tooLarge: 0, other: 0 }, 0])
  }
}

/** A library that has no such options, as an older kernel. */
const without = (...missing: number[]): (libc: Libc) => Partial<Libc> => ({ setsockopt }) => ({
  setsockopt: (fd, level, option, value, length) => missing.includes(option) ? -1 : setsockopt(fd, level, option, value, length)
})

t.test('everything is there', ifNative, async (t) => {
  const sockets = [await bound(t), await bound(t)]
  t.match(sockets[0], { offloads: ['batch', 'gso', 'gro'], reduced: undefined })
  await carries(t, ...sockets)
})

t.test('less is asked for', async (t) => {
  const node = await bound(t, { io: 'node' })
  t.match(node, { offloads: [], reduced: 'node:dgram is asked for', flow: undefined })
  const batch = await bound(t, { io: 'batch' })
  if (ifNative.skip === false) t.match(batch, { offloads: ['batch'], reduced: 'no offload is asked for' })
  await carries(t, node, batch, await bound(t))
})

t.test('a kernel without the options', ifNative, async (t) => {
  const all = await bound(t)
  for (const [missing, offloads, reduced] of [
    [[UDP_SEGMENT], ['batch', 'gro'], 'the kernel has no UDP_SEGMENT'],
    [[UDP_GRO], ['batch', 'gso'], 'the kernel has no UDP_GRO'],
    [[UDP_SEGMENT, UDP_GRO], ['batch'], 'the kernel has no UDP_SEGMENT and no UDP_GRO']
  ] as const) {
    const socket = boundBy(t, await nativeWith(without(...missing)))
    t.same([socket.offloads, socket.reduced], [offloads, reduced])
    await carries(t, all, socket)
  }
})

const koffi = ifNative.skip === false ? (await import('koffi')).default : undefined

/** Whether a message of sendmmsg(2) has control messages: `msg_controllen` of a `struct mmsghdr`, which has 64 bytes. */
const isGroup = (messages: number, index: number): boolean => Number(koffi?.decode(BigInt(messages + index * 64 + 40), 'uint64_t')) > 0

/** A library whose interface refuses groups with this error, when the messages before them have been sent. */
function refusingGroups (errno: number): { change: (libc: Libc) => Partial<Libc>, refused: () => number } {
  let refused = 0
  let isRefused = false
  return {
    refused: () => refused,
    change: (libc) => ({
      errno: () => isRefused ? errno : libc.errno(),
      sendmmsg: (fd, messages, length, flags) => {
        let single = 0
        while (single < length && !isGroup(messages, single)) single++
        isRefused = single === 0
        if (!isRefused) return libc.sendmmsg(fd, messages, single, flags)
        refused++
        return -1
      }
    })
  }
}

t.test('an interface that does not split groups, seen in the middle of a batch', ifNative, async (t) => {
  const { change, refused } = refusingGroups(EIO)
  const socket = boundBy(t, await nativeWith(change))
  const reader = await bound(t)
  t.match(socket, { offloads: ['batch', 'gso', 'gro'], reduced: undefined })
  const texts = ['alone', ...TEXTS]
  socket.port.send(texts.map((text) => to(reader.local, text)))
  t.same(await heard(reader, texts.length), texts)
  t.match(socket, { offloads: ['batch', 'gso', 'gro'], reduced: 'an interface does not split groups of datagrams', errors: { other: 0, unreachable: 0 } })
  t.equal(refused(), 2, 'once more, as the error could be that of an earlier datagram, after which it makes none for this host')
  await carries(t, socket, reader)
  t.equal(refused(), 2)
})

t.test('a way that refuses groups of a size: to this host they go one by one, smaller ones do not', ifNative, async (t) => {
  const { change, refused } = refusingGroups(EINVAL)
  const socket = boundBy(t, await nativeWith(change))
  const reader = await bound(t)
  const texts = Array.from({ length: 20 }, (_, i) => `${i}`.padEnd(1000))
  for (let round = 0; round < 3; round++) {
    socket.port.send(texts.map((text) => to(reader.local, text)))
    t.same(await heard(reader, texts.length), texts)
  }
  t.equal(refused(), 2)
  t.match(socket, { offloads: ['batch', 'gso', 'gro'], reduced: undefined, errors: { other: 0, tooLarge: 0 } })
  socket.port.send(texts.map((text) => to(reader.local, text.slice(0, 999))))
  await heard(reader, texts.length)
  t.equal(refused(), 4)
})

t.test('a process without koffi, and one whose koffi does not poll', ifNative, async (t) => {
  const script = [...STRIP_TYPES, new URL('../../helpers/transports/udp-script.ts', import.meta.url).pathname]
  const said = async (...imports: string[]): Promise<unknown> => JSON.parse(await outputOf(t, [...imports.flatMap((path) => ['--import', url(path)]), ...script]))
  t.same(await said(), { offloads: ['batch', 'gso', 'gro'], got: 500, answered: 500, hasFlow: true })
  t.same(await said('programs/without-koffi.js'), { offloads: [], reduced: 'the optional package koffi is not installed: npm install koffi', got: 500, answered: 500, hasFlow: false })
  t.same(await said('tun/without-loop.js'), { offloads: ['batch', 'gso', 'gro'], got: 500, answered: 500, hasFlow: true }, 'a thread polls')
  t.same(await said('transports/on-darwin.js'), { offloads: [], reduced: 'only Linux sends and reads many datagrams at once', got: 500, answered: 500, hasFlow: false })
  t.same(await said('transports/on-s390x.js'), { offloads: [], reduced: 'the calls of Linux are not known on s390x', got: 500, answered: 500, hasFlow: false })
})

t.test('it is loaded once', ifNative, async (t) => {
  t.equal(await nativeUdp(), await nativeUdp())
})

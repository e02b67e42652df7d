/** Errors of earlier datagrams to others, as anybody can cause by ICMP: the next datagram pays nothing for them. */
import { constants } from 'node:os'
import t from 'tap'
import { bound, boundBy, heard, ifNative, nativeWith, to } from '../../helpers/transports/udp-sockets.ts'
import type { Libc } from '../../../src/net/native/libc.ts'
import { IP_RECVERR, IPPROTO_IP, MSG_ERRQUEUE } from '../../../src/net/native/socket-numbers.ts'

const { EAGAIN, ECONNREFUSED, EMSGSIZE } = constants.errno

const koffi = ifNative.skip === false ? (await import('koffi')).default : undefined

/** `SO_EE_ORIGIN_ICMP` of ip(7). */
const ICMP = 2

const TEXTS = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(500))

/** A library where so many errors of others wait, which the first calls tell in place of sending; and the numbers of messages of each call. */
function withErrors (errno: number, count: number, { isQueued = true, isFull = false } = {}): { change: (libc: Libc) => Partial<Libc>, calls: number[] } {
  const calls: number[] = []
  let [queued, told, last] = [isQueued ? count : 0, isQueued ? Math.ceil(count / 256) : count, 0]
  return {
    calls,
    change: (libc) => ({
      errno: () => last !== 0 ? last : libc.errno(),
      sendmmsg (fd, messages, length, flags) {
        calls.push(length)
        last = told-- > 0 ? errno : isFull ? EAGAIN : 0
        if (last === EAGAIN) isFull = false
        return last === 0 ? libc.sendmmsg(fd, messages, length, flags) : -1
      },
      recvmmsg (fd, messages, length, flags, timeout) {
        if ((flags & MSG_ERRQUEUE) === 0) return libc.recvmmsg(fd, messages, length, flags, timeout)
        const read = Math.min(queued, length)
        queued -= read
        for (let i = 0; i < read; i++) {
          const at = messages + i * 64
          const put = (offset: number, type: string, value: number | bigint): void => { koffi?.encode(BigInt(offset), type, value) }
          const control = Number(koffi?.decode(BigInt(at + 32), 'uint64_t'))
          for (const [word, value] of [32, 0, IPPROTO_IP, IP_RECVERR, errno, ICMP, 0, 0].entries()) put(control + word * 4, 'uint32_t', value)
          put(at + 40, 'uint64_t', 32)
        }
        return read > 0 ? read : -1
      }
    })
  }
}

t.test('a way to another host that takes less: groups to this one stay', ifNative, async (t) => {
  const { change, calls } = withErrors(EMSGSIZE, 1)
  const socket = boundBy(t, await nativeWith(change))
  const reader = await bound(t)
  for (let round = 0; round < 2; round++) {
    socket.port.send(TEXTS.map((text) => to(reader.local, text)))
    t.same(await heard(reader, TEXTS.length), TEXTS)
  }
  t.same(calls, [1, 1, 1], 'one message each time, the first one twice')
  t.match(socket.errors, { tooLarge: 1, unreachable: 0, other: 0 })
})

t.test('more errors than are read at once: no datagram is lost, each error is counted once', ifNative, async (t) => {
  for (const count of [1, 255, 256, 257, 4000]) {
    const { change } = withErrors(ECONNREFUSED, count)
    const socket = boundBy(t, await nativeWith(change))
    const reader = await bound(t)
    socket.port.send(TEXTS.map((text) => to(reader.local, text)))
    t.same(await heard(reader, TEXTS.length), TEXTS)
    t.match(socket.errors, { unreachable: count, other: 0 })
  }
})

t.test('an error that no queue had room for is counted by the call that tells it', ifNative, async (t) => {
  const { change } = withErrors(ECONNREFUSED, 1, { isQueued: false })
  const socket = boundBy(t, await nativeWith(change))
  const reader = await bound(t)
  socket.port.send(TEXTS.map((text) => to(reader.local, text)))
  t.same(await heard(reader, TEXTS.length), TEXTS)
  t.match(socket.errors, { unreachable: 1, other: 0 })
})

t.test('errors on a full way: what waits is sent when there is room', ifNative, async (t) => {
  const { change } = withErrors(ECONNREFUSED, 3, { isFull: true })
  const socket = boundBy(t, await nativeWith(change))
  const reader = await bound(t)
  socket.port.send(TEXTS.map((text) => to(reader.local, text)))
  t.ok(socket.port.queued > 0)
  t.same(await heard(reader, TEXTS.length), TEXTS)
  await socket.port.drained?.()
  t.match(socket.errors, { unreachable: 3, waits: 1, other: 0 })
})

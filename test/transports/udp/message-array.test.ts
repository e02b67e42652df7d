/** Control messages as recvmmsg(2) brings them, and as no system should: never read beyond their message, never without an end. */
import fc from 'fast-check'
import t from 'tap'
import { ifNative } from '../../helpers/transports/udp-sockets.ts'
import type { Libc } from '../../../src/net/native/libc.ts'
import { MemoryAddresses } from '../../../src/net/native/memory-addresses.ts'
import { IPPROTO_UDP, UDP_GRO } from '../../../src/net/native/socket-numbers.ts'
import { MessageArray } from '../../../src/transports/udp/native/message-array.ts'
import { MessageReader } from '../../../src/transports/udp/native/message-reader.ts'

const SIZE = 64

/** No memory is touched by these, so any address will do. */
const libc = { address: () => 4096 } as unknown as Libc
const newArray = (): MessageArray => new MessageArray({ addresses: new MemoryAddresses(libc), messages: 3, vectors: 0, controlSize: SIZE })

/** Puts control messages, each as its length, level, type and data in words, into the second of three messages. */
function withControl (words: readonly number[], bytes: number): MessageArray {
  const array = newArray()
  array.words.fill(0x11)
  array.setControlLength(1, bytes)
  array.words.set(words, array.controlAt(1))
  return array
}

const cmsg = (length: number, level: number, type: number, ...data: number[]): number[] => [length, 0, level, type, ...data]
const found = (words: readonly number[], bytes: number): number | undefined => {
  const array = withControl(words, bytes)
  const at = array.findControl(1, IPPROTO_UDP, UDP_GRO)
  return at === 0 ? undefined : at - array.controlAt(1)
}

t.test('the first of its kind, behind others', async (t) => {
  const gro = cmsg(20, IPPROTO_UDP, UDP_GRO, 1400, 0)
  t.equal(found(gro, 24), 4)
  t.equal(found(gro, 20), 4, 'without its padding')
  t.equal(found([...cmsg(17, 1, 2, 0, 0), ...gro], 48), 10)
  t.equal(found([...cmsg(16, 1, 2), ...gro], 40), 8)
  t.equal(found([...cmsg(28, 1, 2, 0, 0, 0, 0), ...gro], 56), 12)
  t.equal(found([], 0), undefined)
  t.equal(found(cmsg(20, IPPROTO_UDP, 1, 5, 0), 24), undefined)
  t.equal(found(cmsg(20, 1, UDP_GRO, 5, 0), 24), undefined)
})

t.test('cut, without data, of no length, or longer than there is', async (t) => {
  const gro = cmsg(20, IPPROTO_UDP, UDP_GRO, 1400, 0)
  for (const bytes of [1, 8, 15, 16, 17, 19]) t.equal(found(gro, bytes), undefined, `${bytes} bytes`)
  for (const length of [0, 1, 15]) {
    t.equal(found([...cmsg(length, 1, 2, 0, 0), ...gro], 48), undefined, `a length of ${length}`)
    t.equal(found(cmsg(length, IPPROTO_UDP, UDP_GRO, 5, 0), 24), undefined, `its own length ${length}`)
  }
  t.equal(found([...cmsg(16, IPPROTO_UDP, UDP_GRO), ...cmsg(20, 1, 2, 0, 0)], 40), undefined, 'its data is that of the next one')
  for (const length of [49, 64, 0x7fffffff, 0xffffffff]) t.equal(found([...cmsg(length, 1, 2, 0, 0), ...gro], 48), undefined, `a length of ${length}`)
})

t.test('property: whatever is there, what is found is in its message', async () => {
  const word = fc.oneof(fc.constantFrom(0, 1, 15, 16, 17, 20, 24, 64, IPPROTO_UDP, UDP_GRO, 0xffffffff), fc.nat(0xffffffff))
  fc.assert(fc.property(fc.array(word, { maxLength: SIZE / 4 }), fc.oneof(fc.nat(SIZE), fc.nat(0xffffffff)), (words, bytes) => {
    const at = found(words, bytes)
    return at === undefined || (at >= 4 && at * 4 + 4 <= Math.min(bytes, SIZE))
  }), { numRuns: 2000 })
})

t.test('a reader of messages whose size of datagrams is none, or larger than they are', ifNative, async (t) => {
  const koffi = (await import('koffi')).default
  const read = async (length: number, size: number): Promise<number[]> => {
    const { loadLibc } = await import('../../../src/net/native/libc.ts')
    const real = await loadLibc()
    const reader = new MessageReader({
      ...real,
      recvmmsg: (_fd, messages) => { // one message with this control message
        const put = (at: number, type: string, value: number | bigint): void => { koffi.encode(BigInt(at), type, value) }
        const pointer = (at: number): number => Number(koffi.decode(BigInt(at), 'uint64_t'))
        put(messages + 56, 'uint32_t', length)
        const control = pointer(messages + 32)
        for (const [i, word] of cmsg(20, IPPROTO_UDP, UDP_GRO, size).entries()) put(control + i * 4, 'uint32_t', word)
        put(messages + 40, 'uint64_t', 24)
        put(pointer(messages), 'uint16_t', 2)
        return 1
      }
    }, new MemoryAddresses(real))
    if (!reader.read(0)) throw new Error('nothing was read')
    return reader.lend().map(({ data }) => data.length)
  }
  t.same(await read(1000, 0), [1000])
  t.same(await read(1000, 1001), [1000])
  t.same(await read(1000, 0xffffffff), [1000])
  t.same(await read(1000, 400), [400, 400, 200])
  t.same(await read(1000, 500), [500, 500])
  t.same(await read(0, 500), [0])
  t.same(await read(0, 0), [0])
})

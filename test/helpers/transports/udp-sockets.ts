/** UDP sockets for tests: by a C library that behaves as wanted, and what they read. */
import type { Test } from 'tap'
import { loadLibc, type Libc } from '../../../src/net/native/libc.ts'
import { bindUdp, type BindUdpInit } from '../../../src/transports/udp/bind.ts'
import { NativeUdpSocket } from '../../../src/transports/udp/native/native-socket.ts'
import { NativeUdp } from '../../../src/transports/udp/native/native-udp.ts'
import { verifyUdp, type UdpSocket } from '../../../src/transports/udp/socket.ts'
import type { Datagram, Endpoint } from '../../../src/types.ts'

/** Undefined where sockets can be native. */
export const NOT_NATIVE = process.platform !== 'linux' || !await import('koffi').then(() => true, () => false) ? 'takes Linux and koffi' : undefined

/** For `t.test`: skips it where sockets are not native. In `CI` nothing may be skipped. */
export const ifNative = { skip: process.env.CI === 'true' ? false : NOT_NATIVE ?? false } as const

type Closeable = Pick<UdpSocket, 'close'>

export function closedWith<S extends Closeable> (t: Test, socket: S): S {
  t.teardown(() => { socket.close() })
  return socket
}

export const bound = async (t: Test, init: Partial<BindUdpInit> = {}): Promise<UdpSocket> =>
  closedWith(t, await bindUdp({ host: '127.0.0.1', port: 0, ...init }))

/** Sockets of a C library some of whose functions are others. Its errors are told by `errno`, when that is not 0. */
export async function nativeWith (change: (libc: Libc) => Partial<Libc>): Promise<NativeUdp> {
  const libc = await loadLibc()
  return new NativeUdp({ ...libc, ...change(libc) })
}

/** Binds a socket of such a library. */
export function boundBy (t: Test, native: NativeUdp, { host = '127.0.0.1', port = 0, ...init }: Partial<BindUdpInit> = {}): NativeUdpSocket {
  const verified = verifyUdp(init)
  return closedWith(t, new NativeUdpSocket(native, native.bind({ host, port }, verified), verified))
}

export const to = ({ host, port }: Endpoint, data: string | Uint8Array): Datagram => ({ data: typeof data === 'string' ? Buffer.from(data) : data, host, port })

export const textOf = ({ data }: Datagram): string => Buffer.from(data).toString()

/** The texts of the next so many datagrams, read by `source`. */
export async function heard (socket: UdpSocket, count: number): Promise<string[]> {
  const texts: string[] = []
  const reads = socket.source[Symbol.asyncIterator]()
  while (texts.length < count) {
    const { done, value } = await reads.next()
    if (done === true) break
    texts.push(...value.map(textOf))
  }
  return texts
}

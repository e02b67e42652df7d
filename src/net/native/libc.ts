/** The functions of the C library that interfaces and sockets need. */
import { createRequire } from 'node:module'
import { loadKoffi } from './koffi.ts'

/** Calls return what their C namesakes return: -1 for a failure, with the reason in `errno` until the next call. */
export interface Libc {
  read (fd: number, into: Uint8Array, length: number): number
  write (fd: number, from: Uint8Array, length: number): number
  ioctl (fd: number, request: number, argument: Uint8Array): number
  /** The same for a request whose argument is a number. */
  ioctlNumber (fd: number, request: number, argument: number): number
  socket (domain: number, type: number, protocol: number): number
  /** Two connected sockets, whose descriptors are written to `fds`, two integers of 32 bits. */
  socketpair (domain: number, type: number, protocol: number, fds: Uint8Array): number
  setsockopt (fd: number, level: number, option: number, value: Uint8Array, length: number): number
  bind (fd: number, address: Uint8Array, length: number): number
  connect (fd: number, address: Uint8Array, length: number): number
  getsockopt (fd: number, level: number, option: number, value: Uint8Array, length: Uint8Array): number
  send (fd: number, from: Uint8Array, length: number, flags: number): number
  getsockname (fd: number, address: Uint8Array, length: Uint8Array): number
  getpeername (fd: number, address: Uint8Array, length: Uint8Array): number
  eventfd (initial: number, flags: number): number
  errno (): number
  /** The address of the first byte of a view. It keeps nothing alive: see {@link MemoryAddresses}. */
  address (bytes: Uint8Array): number
  /** poll(2) on a thread of libuv's pool. `fds` must stay as it is until `done` is called; the reason of a -1 is unknown. */
  poll (fds: Uint8Array, count: number, timeout: number, done: (err: Error | null, ready: number) => void): void
  /** sendmmsg(2) and recvmmsg(2). `messages` is the address of `count` structures of type mmsghdr. */
  sendmmsg (fd: number, messages: number, count: number, flags: number): number
  recvmmsg (fd: number, messages: number, count: number, flags: number, timeout: null): number
  /**
   * Calls back on the event loop whenever the descriptor is as wanted. Microtasks of the callback run with the next task only. After an
   * error of the descriptor the callback gets a negative number, and watching has stopped. koffi does not document this function, so it
   * may be missing in some version.
   */
  readonly onEvents?: (fd: number, wanted: Wanted, ready: (events: Wanted | number) => void) => LoopHandle
}

/** What is waited for, or has come. */
export interface Wanted {
  readable?: boolean
  writable?: boolean
}

export interface LoopHandle {
  start (wanted: Wanted): void
  stop (): void
  close (): void
}

let loaded: Promise<Libc> | undefined

/** Loads koffi once. Rejects with `ERR_NATIVE_KOFFI` when that is not possible. */
export function loadLibc (): Promise<Libc> {
  loaded ??= load()
  return loaded
}

async function load (): Promise<Libc> {
  const koffi = await loadKoffi()
  const libc = koffi.load(null) // what the process itself is linked with: glibc or musl
  const poll = libc.func('poll', 'int', ['void *', 'unsigned long', 'int'])
  const { node } = koffi
  return {
    read: libc.func('read', 'long', ['int', 'void *', 'size_t']),
    write: libc.func('write', 'long', ['int', 'void *', 'size_t']),
    // takes a variable number of arguments in C; on Linux those are passed like any others
    ioctl: libc.func('ioctl', 'int', ['int', 'unsigned long', 'void *']),
    ioctlNumber: libc.func('ioctl', 'int', ['int', 'unsigned long', 'unsigned long']),
    socket: libc.func('socket', 'int', ['int', 'int', 'int']),
    socketpair: libc.func('socketpair', 'int', ['int', 'int', 'int', 'void *']),
    setsockopt: libc.func('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'unsigned int']),
    bind: libc.func('bind', 'int', ['int', 'void *', 'unsigned int']),
    connect: libc.func('connect', 'int', ['int', 'void *', 'unsigned int']),
    getsockopt: libc.func('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']),
    send: libc.func('send', 'long', ['int', 'void *', 'size_t', 'int']),
    getsockname: libc.func('getsockname', 'int', ['int', 'void *', 'void *']),
    getpeername: libc.func('getpeername', 'int', ['int', 'void *', 'void *']),
    eventfd: libc.func('eventfd', 'int', ['unsigned int', 'int']),
    errno: () => koffi.errno(),
    address: (bytes) => Number(koffi.address(bytes)),
    poll: (fds, count, timeout, done) => { poll.async(fds, count, timeout, done) },
    sendmmsg: libc.func('sendmmsg', 'int', ['int', 'uintptr_t', 'unsigned int', 'int']),
    recvmmsg: libc.func('recvmmsg', 'int', ['int', 'uintptr_t', 'unsigned int', 'int', 'void *']),
    onEvents: typeof node?.poll === 'function' ? (fd, wanted, ready) => loopHandle(node.poll as unknown as PollFunction, fd, wanted, ready) : undefined
  }
}

/** What koffi has, whose types leave the status out: a negative number of libuv after an error, else 0. */
type KoffiPollHandle = Omit<LoopHandle, 'start'> & { start (wanted: Wanted, callback: PollCallback): void }
type PollCallback = (status: number, events: Wanted) => void
type PollFunction = (fd: number, wanted: Wanted, callback: PollCallback) => KoffiPollHandle

function loopHandle (poll: PollFunction, fd: number, wanted: Wanted, ready: (events: Wanted | number) => void): LoopHandle {
  const callback: PollCallback = (status, events) => { ready(status < 0 ? status : events) }
  const handle = poll(fd, wanted, callback)
  return {
    start: (wanted) => { handle.start(wanted, callback) },
    stop: () => { handle.stop() },
    close: () => { handle.close() }
  }
}

/** Ends the process without waiting for its threads; returns when there is no koffi. Must not use the thread pool, as `import` does. */
export function exitAtOnce (code: number): void {
  try {
    const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi')
    koffi.load(null).func('_exit', 'void', ['int'])(code)
  } catch {}
}

/**
 * Sockets by system calls, for loads that must cost less than what they load: Node needs several times as much for a connection. Linux, x64
 * and arm64, IPv4. What fails throws, unless it is said otherwise.
 */
import koffi from 'koffi'

const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const SO_RCVBUF = 8
const IPPROTO_IP = 0
const IP_BIND_ADDRESS_NO_PORT = 24
const IPPROTO_TCP = 6
const TCP_NODELAY = 1
const MSG_DONTWAIT = 0x40
const MSG_TRUNC = 0x20
const F_SETFL = 4
const O_NONBLOCK = 0o4000
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_MOD = 3
const EAGAIN = 11
const EINTR = 4

const EPOLLIN = 1
export const EPOLLOUT = 4

/** Of the structure `epoll_event`, which is packed on x64. */
const EVENT = process.arch === 'x64' ? { bytes: 12, dataAt: 4 } : { bytes: 16, dataAt: 8 }

const libc = koffi.load(null)
const socket = libc.func('socket', 'int', ['int', 'int', 'int'])
const setsockopt = libc.func('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'unsigned int'])
const bind = libc.func('bind', 'int', ['int', 'void *', 'unsigned int'])
const connect = libc.func('connect', 'int', ['int', 'void *', 'unsigned int'])
const sendCall = libc.func('send', 'long', ['int', 'void *', 'size_t', 'int'])
const recvCall = libc.func('recv', 'long', ['int', 'void *', 'size_t', 'int'])
const closeCall = libc.func('close', 'int', ['int'])
const sendfileCall = libc.func('sendfile', 'long', ['int', 'int', 'void *', 'size_t'])
const fcntl = libc.func('fcntl', 'int', ['int', 'int', 'int'])
const sendmmsg = libc.func('sendmmsg', 'int', ['int', 'uintptr_t', 'unsigned int', 'int'])
const recvmmsg = libc.func('recvmmsg', 'int', ['int', 'uintptr_t', 'unsigned int', 'int', 'void *'])
const epollCreate = libc.func('epoll_create1', 'int', ['int'])
const epollCtl = libc.func('epoll_ctl', 'int', ['int', 'int', 'int', 'void *'])
const epollWait = libc.func('epoll_wait', 'int', ['int', 'void *', 'int', 'int'])

function checked (call, result) {
  if (result < 0) throw new Error(`${call}: error ${koffi.errno()} of the system`)
  return result
}

function addressOf (host, port) {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt16LE(AF_INET)
  bytes.writeUInt16BE(port, 2)
  bytes.set(host.split('.').map(Number), 4)
  return bytes
}

/** Addresses are encoded once. */
const addresses = new Map()

function knownAddress (host, port) {
  const key = `${host}:${port}`
  const known = addresses.get(key) ?? addressOf(host, port)
  addresses.set(key, known)
  return known
}

const int = (value) => Buffer.from(new Int32Array([value]).buffer)
const ONE = int(1)

/** The port is chosen by `connect`, so that one is used again for another destination. */
export function dial (from, host, port) {
  const fd = checked('socket', socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
  checked('setsockopt', setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, ONE, ONE.length))
  checked('setsockopt', setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ONE, ONE.length))
  checked('bind', bind(fd, knownAddress(from, 0), 16))
  checked(`connect to ${host}:${port}`, connect(fd, knownAddress(host, port), 16))
  return fd
}

/** A socket of UDP that knows one other side. */
export function openUdp (from, host, port) {
  const fd = checked('socket', socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
  checked('setsockopt', setsockopt(fd, SOL_SOCKET, SO_RCVBUF, int(1 << 20), 4))
  checked('bind', bind(fd, knownAddress(from, 0), 16))
  checked('connect', connect(fd, knownAddress(host, port), 16))
  return fd
}

export const send = (fd, bytes) => checked('send', sendCall(fd, bytes, bytes.length, 0))

/** How many bytes there were; -1: none now. */
export function receive (fd, into) {
  return taken(recvCall(fd, into, into.length, MSG_DONTWAIT))
}

/** The same without a copy: the bytes are dropped by the system. */
export function drop (fd, most) {
  return taken(recvCall(fd, null, most, MSG_DONTWAIT | MSG_TRUNC))
}

function taken (result) {
  if (result < 0 && koffi.errno() === EAGAIN) return -1
  return checked('recv', result)
}

/** Five seconds, as the structure `timeval`. */
const PATIENCE = Buffer.from(new BigInt64Array([5n, 0n]).buffer)

/** The same, but waits for bytes. */
export function receiveSoon (fd, into) {
  checked('setsockopt', setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, PATIENCE, PATIENCE.length))
  return checked('recv', recvCall(fd, into, into.length, 0))
}

const OFFSET = Buffer.alloc(8)

/** Sends from the beginning of a file without a copy; -1: there is no room now. */
export function sendFile (fd, file, bytes) {
  OFFSET.fill(0)
  const sent = sendfileCall(fd, file, OFFSET, bytes)
  if (sent < 0 && koffi.errno() === EAGAIN) return -1
  return checked('sendfile', sent)
}

export const makeNonBlocking = (fd) => checked('fcntl', fcntl(fd, F_SETFL, O_NONBLOCK))

export const close = (fd) => { closeCall(fd) }

/** Waits for many sockets. */
export class Poller {
  #fd = checked('epoll_create1', epollCreate(0))
  #event = Buffer.alloc(EVENT.bytes)
  #events = Buffer.alloc(EVENT.bytes * 256)

  /** @param data what `wait` calls back with */
  add (fd, data, events = EPOLLIN) { this.#control(EPOLL_CTL_ADD, fd, data, events) }

  change (fd, data, events) { this.#control(EPOLL_CTL_MOD, fd, data, events) }

  /** Calls back for each that is ready, and returns how many these were. */
  wait (milliseconds, ready) {
    const count = epollWait(this.#fd, this.#events, 256, milliseconds)
    if (count < 0 && koffi.errno() === EINTR) return 0
    checked('epoll_wait', count)
    for (let i = 0; i < count; i++) ready(this.#events.readInt32LE(i * EVENT.bytes + EVENT.dataAt), this.#events.readUInt32LE(i * EVENT.bytes))
    return count
  }

  close () { close(this.#fd) }

  #control (operation, fd, data, events) {
    this.#event.writeUInt32LE(events)
    this.#event.writeInt32LE(data, EVENT.dataAt)
    checked('epoll_ctl', epollCtl(this.#fd, operation, fd, this.#event))
  }
}

/** Bytes of the structures of `sendmmsg` and `recvmmsg`. */
const MESSAGE = 64
const VECTOR = 16
const LONGEST = 64

/** The structures for some buffers, and where these are. */
function messagesOf (buffers) {
  const vectors = Buffer.alloc(VECTOR * buffers.length)
  const messages = Buffer.alloc(MESSAGE * buffers.length)
  for (const [i, buffer] of buffers.entries()) {
    vectors.writeBigUInt64LE(koffi.address(buffer), i * VECTOR)
    vectors.writeBigUInt64LE(BigInt(buffer.length), i * VECTOR + 8)
    messages.writeBigUInt64LE(koffi.address(vectors) + BigInt(i * VECTOR), i * MESSAGE + 16)
    messages.writeBigUInt64LE(1n, i * MESSAGE + 24)
  }
  return { buffers, vectors, messages, at: Number(koffi.address(messages)) }
}

/** A socket of UDP that sends some datagrams in turn and takes answers, several with one call. */
export class Bursts {
  #fd
  #count
  #answer
  #out
  #in
  #next = 0

  /** @param most that are sent or taken at once, @param answer bytes of each answer */
  constructor (fd, datagrams, most, answer) {
    this.#fd = fd
    this.#count = datagrams.length
    this.#answer = answer
    this.#out = messagesOf([...datagrams, ...datagrams].slice(0, datagrams.length + most))
    this.#in = messagesOf(Array.from({ length: most }, () => Buffer.alloc(LONGEST)))
  }

  send (count) {
    const sent = checked('sendmmsg', sendmmsg(this.#fd, this.#out.at + this.#next * MESSAGE, count, 0))
    this.#next = (this.#next + sent) % this.#count
    return sent
  }

  /** How many there were. */
  receive () {
    const { messages, buffers, at } = this.#in
    const count = recvmmsg(this.#fd, at, buffers.length, MSG_DONTWAIT, null)
    if (count < 0 && koffi.errno() === EAGAIN) return 0
    checked('recvmmsg', count)
    for (let i = 0; i < count; i++) {
      const length = messages.readUInt32LE(i * MESSAGE + 56)
      if (length !== this.#answer) throw new Error(`an answer of ${length} bytes: ${buffers[i].toString('hex', 0, length)}`)
    }
    return count
  }
}

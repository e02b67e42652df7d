/**
 * The least that a tunnel in Node does: `relay <port>` hands bytes from each connection to the others, `peer <way> <host> <port> <device>
 * <cidr>` packets between an interface and a connection, and waits for the former in one of several ways. No frames: good for a
 * packet at a time.
 */
import { execFileSync } from 'node:child_process'
import { constants, openSync } from 'node:fs'
import { connect, createServer, Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import koffi from 'koffi'

const SPIN = 200_000n // ns after the last packet
const LARGEST = 65_546

const libc = koffi.load(null)
const read = libc.func('read', 'long', ['int', 'void *', 'size_t'])
const write = libc.func('write', 'long', ['int', 'void *', 'size_t'])
const ioctl = libc.func('ioctl', 'int', ['int', 'unsigned long', 'void *'])
const poll = libc.func('poll', 'int', ['void *', 'unsigned long', 'int'])

function relay (port) {
  const sockets = new Set()
  createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => { sockets.delete(socket) })
    socket.on('data', (bytes) => { for (const other of sockets) if (other !== socket) other.write(bytes) })
  }).listen(Number(port), () => { console.log('ready') })
}

function openTun (device, cidr) {
  const fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK)
  const request = Buffer.alloc(40)
  request.write(device)
  request.writeUInt16LE(0x1001, 16) // IFF_TUN, IFF_NO_PI
  if (ioctl(fd, 0x400454ca, request) < 0) throw new Error('TUNSETIFF')
  execFileSync('ip', ['addr', 'add', cidr, 'dev', device])
  execFileSync('ip', ['link', 'set', device, 'up'])
  return fd
}

/** struct pollfd for one descriptor to be read. */
function pollfd (fd) {
  const entry = new Uint8Array(8)
  new DataView(entry.buffer).setInt32(0, fd, true)
  entry[4] = 1
  return entry
}

/** What is kept from the collector. */
const kept = []

/** Each calls `send` with what comes from `fd`; what it returns is called when something has gone there. */
const ways = {
  /** A handle of the event loop that is left running, and a read in its callback. */
  loop (fd, { take }) { kept.push(koffi.node.poll(fd, take)) },

  /** A handle that is stopped and started for each packet, with a promise and a turn of the loop in between. */
  restart (fd, { take }) {
    const handle = koffi.node.poll(fd, () => {})
    kept.push(handle)
    handle.stop()
    const ready = () => new Promise((resolve) => {
      handle.start(() => {
        handle.stop()
        setImmediate(resolve)
      })
    })
    const go = async () => {
      for (;;) {
        if (take()) await new Promise((resolve) => { setImmediate(resolve) })
        else await ready()
      }
    }
    void go()
  },

  /** The descriptor as a pipe of Node, which documents none of it. */
  pipe (fd, { buffer, send }) {
    const { Pipe, constants: { SOCKET } } = process.binding('pipe_wrap') // eslint-disable-line n/no-deprecated-api
    const handle = new Pipe(SOCKET)
    if (handle.open(fd) !== 0) throw new Error('pipe')
    new Socket({ handle, readable: true, writable: false, onread: { buffer, callback: (length) => { send(length); return true } } }).resume()
  },

  /** poll(2) in libuv's pool of threads. */
  thread (fd, { take }) {
    const fds = pollfd(fd)
    const again = () => {
      poll.async(fds, 1, -1, () => {
        while (take());
        again()
      })
    }
    again()
  },

  /** A worker that polls and reads, and hands over by shared memory. */
  worker (fd, { buffer, send }) {
    const shared = new SharedArrayBuffer(8 + LARGEST)
    const state = new Int32Array(shared, 0, 2)
    const bytes = new Uint8Array(shared, 8)
    const worker = new Worker(`
      const koffi = require('koffi')
      const { workerData: { shared, fd, fds, length } } = require('node:worker_threads')
      const libc = koffi.load(null)
      const read = libc.func('read', 'long', ['int', 'void *', 'size_t'])
      const poll = libc.func('poll', 'int', ['void *', 'unsigned long', 'int'])
      const state = new Int32Array(shared, 0, 2)
      const bytes = new Uint8Array(shared, 8)
      const own = Buffer.alloc(length)
      for (;;) {
        poll(fds, 1, -1)
        const got = Number(read(fd, own, length))
        if (got <= 0) continue
        bytes.set(own.subarray(0, got))
        Atomics.store(state, 0, got)
        Atomics.notify(state, 0)
        Atomics.wait(state, 0, got)
      }`, { eval: true, workerData: { shared, fd, fds: pollfd(fd), length: LARGEST } })
    kept.push(worker)
    const go = async () => {
      for (;;) {
        const waiting = Atomics.waitAsync(state, 0, 0)
        if (waiting.async) await waiting.value
        const length = Atomics.load(state, 0)
        buffer.set(bytes.subarray(0, length))
        send(length)
        Atomics.store(state, 0, 0)
        Atomics.notify(state, 0)
      }
    }
    void go()
  },

  /** As `loop`, and after each packet the event loop goes round for a while without a rest. */
  spin (fd, { take }) {
    let until = 0n
    let isSpinning = false
    const turn = () => {
      if (take()) until = process.hrtime.bigint() + SPIN
      isSpinning = process.hrtime.bigint() < until
      if (isSpinning) setImmediate(turn)
    }
    const touched = () => {
      until = process.hrtime.bigint() + SPIN
      if (isSpinning) return
      isSpinning = true
      setImmediate(turn)
    }
    kept.push(koffi.node.poll(fd, () => { if (take()) touched() }))
    return touched
  }
}

function peer (way, host, port, device, cidr) {
  const fd = openTun(device, cidr)
  const buffer = Buffer.alloc(LARGEST)
  const socket = connect({ host, port: Number(port), noDelay: true })
  const send = (length) => { socket.write(Buffer.from(buffer.subarray(0, length))) }
  const take = () => {
    const length = read(fd, buffer, LARGEST)
    if (length > 0) send(length)
    return length > 0
  }
  const touched = ways[way](fd, { buffer, send, take })
  socket.on('data', (bytes) => {
    write(fd, bytes, bytes.length)
    touched?.()
  })
  socket.on('connect', () => { console.log('ready') })
}

const [, , role, ...rest] = process.argv
if (role === 'relay') relay(...rest)
else peer(...rest)

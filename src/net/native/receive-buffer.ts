/** How much the kernel keeps for a reader that is busy. */
import type { Socket } from 'node:net'
import { descriptorOf, prepareSocketCalls, socketCalls } from './socket-calls.ts'
import { SOL_SOCKET, SO_RCVLOWAT } from './socket-numbers.ts'

/** Linux makes the buffer twice as large, and caps both by `net.ipv4.tcp_rmem`, which is 6 MiB by default. */
const LOW_WATER = new Uint8Array(new Int32Array([2 * 1024 * 1024]).buffer)
const ONE = new Uint8Array(new Int32Array([1]).buffer)

/**
 * Makes the receive buffer of a connection large at once, so that the other side can go on writing while this process is busy. It
 * would become as large by itself, but only after its sender has had to wait.
 *
 * `SO_RCVBUF` would do that up to 208 KiB and then stay there for good. The low-water mark raises the buffer and leaves the kernel free to
 * raise it further, tcp(7); afterwards the mark is set back. Nothing happens where the call cannot be made.
 */
export function growReceiveBuffer (socket: Socket): void {
  const libc = socketCalls()
  if (libc === undefined) {
    void prepareSocketCalls().then(() => { growReceiveBuffer(socket) })
    return
  }
  const fd = descriptorOf(socket)
  if (libc === null || fd === undefined) return
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, LOW_WATER, LOW_WATER.length)
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, ONE, ONE.length)
}

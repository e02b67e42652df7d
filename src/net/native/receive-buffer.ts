/** The receive buffer of a TCP socket. */
import type { Socket } from 'node:net'
import { setSocketOption } from './socket-calls.ts'
import { SOL_SOCKET, SO_RCVLOWAT } from './socket-numbers.ts'

/** Bytes. Linux makes the buffer twice as large, capped by `net.ipv4.tcp_rmem`, 6 MiB by default. */
const LOW_WATER = new Uint8Array(new Int32Array([2 * 1024 * 1024]).buffer)
const ONE = new Uint8Array(new Int32Array([1]).buffer)

/**
 * Grows the receive buffer of a connection at once, so that the sender can go on while this process is busy. Autotuning would grow it
 * only after the sender has had to wait.
 *
 * `SO_RCVBUF` allows 208 KiB at most and turns autotuning off. `SO_RCVLOWAT` grows the buffer and keeps autotuning, tcp(7); the mark is
 * set back afterwards. Without koffi nothing happens.
 */
export function growReceiveBuffer (socket: Socket): void {
  setSocketOption(socket, SOL_SOCKET, SO_RCVLOWAT, LOW_WATER)
  setSocketOption(socket, SOL_SOCKET, SO_RCVLOWAT, ONE)
}

/** An interface without a kernel behind it: its device is one of two connected sockets, and who has the other one is its kernel. */
import { closeSync } from 'node:fs'
import { DEFAULT_MTU, type Tun } from './device.ts'
import { systemError } from './ifreq.ts'
import type { InterfaceConfig } from './kernel-config.ts'
import { LinuxTun } from './linux-tun.ts'
import { MAX_PACKET, VIRTIO_HEADER } from './offload/virtio.ts'
import { type Libc, loadLibc } from '../net/native/libc.ts'
import { loopPoller } from '../net/native/poller-loop.ts'
import type { PollHandle } from '../net/native/poller.ts'
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from '../net/native/socket-numbers.ts'

/** There is nothing to configure. */
const CONFIG: InterfaceConfig = {
  monitor () {},
  setAddress () {},
  clearAddress () {},
  setRoutes: () => [],
  occupied: () => [],
  watch: () => () => {},
  async close () {},
  removeRoutes () {}
}

/** The side of the kernel. */
export class SocketTun {
  /** The same class as an interface of the system, on the same calls. */
  readonly tun: Tun
  readonly #libc: Libc
  readonly #fd: number
  readonly #pollHandle: PollHandle
  #closing: Promise<void> | undefined
  readonly #received = Buffer.alloc(VIRTIO_HEADER + MAX_PACKET)

  /** @param onPacket called with a virtio header and the packet after it that was sent to the interface; the memory is reused */
  private constructor (libc: Libc, onPacket: (frame: Uint8Array) => void) {
    const poller = loopPoller(libc)
    const fds = new Int32Array(2)
    if (poller === undefined || libc.socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, new Uint8Array(fds.buffer)) < 0) throw systemError('socketpair', 'none', libc.errno())
    const [fd, own] = fds
    this.tun = new LinuxTun({ libc, poller, fd, name: 'none', mtu: DEFAULT_MTU, offloads: ['checksum', 'tcp', 'udp'], config: CONFIG })
    this.#libc = libc
    this.#fd = own
    this.#pollHandle = poller.watch(own, () => {
      for (;;) {
        const length = libc.read(own, this.#received, this.#received.length)
        if (length <= 0) break
        onPacket(this.#received.subarray(0, length))
      }
    })
    this.#pollHandle.start()
  }

  /** Rejects with a `NativeError` without koffi, and with a `TunError` when it cannot be made. */
  static async open (onPacket: (frame: Uint8Array) => void): Promise<SocketTun> {
    return new SocketTun(await loadLibc(), onPacket)
  }

  /** Lets the interface read a packet, with the virtio header before it. */
  write (frame: Uint8Array): void { if (this.#closing === undefined) this.#libc.write(this.#fd, frame, frame.length) }

  /** May be called more than once. */
  close (): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close (): Promise<void> {
    await this.#pollHandle.close()
    closeSync(this.#fd)
    await this.tun.close()
  }
}

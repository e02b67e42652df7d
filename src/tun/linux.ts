/** Opens TUN devices of Linux. */
import { closeSync, constants as fs, openSync } from 'node:fs'
import { constants } from 'node:os'
import { OptionError } from '../errors.ts'
import { DEFAULT_MTU, type Tun, TunError, verifyMtu } from './device.ts'
import { exists, InterfaceRequest, MAX_NAME_LENGTH, RESERVED_NAMES, setMtu, systemError } from './ifreq.ts'
import { KernelConfig } from './kernel-config.ts'
import { type Libc, loadLibc } from '../net/native/libc.ts'
import { LinuxTun } from './linux-tun.ts'
import { setOffloads } from './offload/virtio.ts'
import { asTunError, withTunErrors } from './native-errors.ts'
import { loopPoller } from '../net/native/poller-loop.ts'
import { threadPoller } from '../net/native/poller-thread.ts'
import type { Poller } from '../net/native/poller.ts'

const DEVICE = '/dev/net/tun'
const TUNSETIFF = 0x400454ca
const IFF_TUN = 0x0001
const IFF_NO_PI = 0x1000
const IFF_VNET_HDR = 0x4000
const { EINVAL } = constants.errno

/** Options of {@link openTun}. */
export interface OpenTunInit {
  /** 1 to 15 letters, digits or `_ . -`. Default: chosen by the kernel (`tun0`, `tun1`, ...). */
  name?: string
  /** Bytes, 68 to 65535. Default: 1400. */
  mtu?: number
  /** Let the kernel exchange many packets of a stream as one. Default: true. */
  offload?: boolean
  /** Poll on the event loop, or on one thread of libuv's pool. Default: `loop` where koffi supports it. */
  poll?: 'loop' | 'thread'
}

function openDevice (): number {
  try {
    return openSync(DEVICE, fs.O_RDWR | fs.O_NONBLOCK) // Node adds O_CLOEXEC to every open
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') throw new TunError('ERR_TUN_PERMISSION', `${DEVICE}: no permission; run with sudo or give the program CAP_NET_ADMIN`, { cause })
    throw new TunError('ERR_TUN_MISSING', `${DEVICE} cannot be opened; load it with: modprobe tun`, { cause })
  }
}

/** Creates the interface of a descriptor. */
function attach (libc: Libc, fd: number, ifreq: InterfaceRequest): void {
  if (libc.ioctl(fd, TUNSETIFF, ifreq.bytes) >= 0) return
  const errno = libc.errno()
  // EINVAL for an interface of another kind, as well as for other invalid requests
  if (errno === EINVAL && ifreq.name !== '' && exists(libc, ifreq.name)) throw new TunError('ERR_TUN_NAME_TAKEN', `an interface ${ifreq.name} exists already`)
  throw systemError('TUNSETIFF', ifreq.name, errno)
}

function pollerOf (libc: Libc, poll: OpenTunInit['poll']): Poller {
  const loop = poll === 'thread' ? undefined : loopPoller(libc)
  if (loop === undefined && poll === 'loop') throw new TunError('ERR_TUN_KOFFI', 'this version of koffi cannot wait on the event loop: leave poll out, or make it thread')
  return loop ?? withTunErrors(threadPoller(libc))
}

/**
 * Creates a TUN interface of the system, on Linux only; it is down until it has an address. Needs the optional package `koffi`, and
 * CAP_NET_ADMIN or a device that was created for the user before (`ip tuntap add`), which then outlives `close`.
 *
 * Rejects with `OptionError` for invalid options, else with `TunError`, see its codes.
 */
export async function openLinuxTun ({ name = '', mtu = DEFAULT_MTU, offload = true, poll }: OpenTunInit = {}): Promise<Tun> {
  if (name !== '' && !/^[\w.-]+$/.test(name)) throw new OptionError(`the name of an interface is made of letters, digits, "_", "." and "-", not ${JSON.stringify(name)}`)
  if (name.length > MAX_NAME_LENGTH || name === '.' || name === '..') throw new OptionError(`the name of an interface has 1 to ${MAX_NAME_LENGTH} characters: ${name}`)
  if (RESERVED_NAMES.includes(name)) throw new OptionError(`no interface can have the name ${name}: the settings of all interfaces have it, in /proc/sys/net/ipv4/conf`)
  verifyMtu(mtu)
  if (poll !== undefined && poll !== 'loop' && poll !== 'thread') throw new OptionError(`poll is loop or thread, not ${String(poll)}`)
  if (process.platform !== 'linux') throw new TunError('ERR_TUN_PLATFORM', `TUN devices of ${process.platform} are not supported, only those of Linux`)
  const libc = await loadLibc().catch((err: Error) => { throw asTunError(err) })
  const poller = pollerOf(libc, poll)
  const fd = openDevice()
  try {
    const ifreq = new InterfaceRequest(name)
    ifreq.short = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
    attach(libc, fd, ifreq)
    setMtu(libc, ifreq.name, mtu)
    return new LinuxTun({ libc, poller, fd, name: ifreq.name, mtu, offloads: setOffloads(libc, fd, offload), config: new KernelConfig(libc, poller, ifreq.name) })
  } catch (err) {
    closeSync(fd)
    throw err
  }
}

/** Descriptors that programs which are started later do not inherit. Those of Node are so; those of addons may be not. */
import { loadLibc } from './libc.ts'
import { NativeError } from './native-error.ts'

/** ioctl(2) with a request that takes no argument, on every kind of file. */
const FIOCLEX = process.platform === 'darwin' ? 0x20006601 : 0x5451

/**
 * A function that marks a descriptor, at once: to be called before anything else can start a program.
 *
 * @throws {NativeError} `ERR_NATIVE_KOFFI`; the function, `ERR_NATIVE_CALL`
 */
export async function loadCloseOnExec (): Promise<(fd: number) => void> {
  const libc = await loadLibc()
  return (fd) => {
    if (libc.ioctlNumber(fd, FIOCLEX, 0) < 0) throw NativeError.ofCall('ioctl', libc.errno())
  }
}

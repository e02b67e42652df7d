/** Descriptors that the C library has opened, as if Node had: it closes those of a worker thread when that ends, whatever the way. */
import { closeSync, openSync } from 'node:fs'
import type { Libc } from './libc.ts'
import { NativeError } from './native-error.ts'

const O_CLOEXEC = 0o2000000

/**
 * The same file under a number that Node knows; the given one is closed. `closeSync` closes it.
 *
 * @throws {NativeError} `ERR_NATIVE_CALL`
 */
export function ownedDescriptor (libc: Libc, fd: number): number {
  const owned = openSync('/dev/null', 'r')
  const failed = libc.dup3(fd, owned, O_CLOEXEC) < 0 ? NativeError.ofCall('dup3', libc.errno()) : undefined
  libc.close(fd)
  if (failed === undefined) return owned
  closeSync(owned)
  throw failed
}

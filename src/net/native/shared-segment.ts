/** Memory that is shared with another process by its number: segments of System V, which X servers read and write. */
import { loadKoffi } from './koffi.ts'
import { NativeError } from './native-error.ts'

const IPC_PRIVATE = 0
const IPC_CREAT = 0o1000
const IPC_RMID = 0
const OWNER_ONLY = 0o600

export interface SharedSegment {
  /** Its number for other processes of this user, until `forget`. */
  readonly id: number
  readonly memory: ArrayBuffer
  /** Makes it go with the last process that has it in its memory. Those that have it keep it. */
  forget (): void
}

/**
 * A function that makes segments. They stay in the memory of this process until it ends, as nobody can know whether a view of one is still
 * in use.
 *
 * @throws {NativeError} `ERR_NATIVE_KOFFI`; the function, `ERR_NATIVE_CALL`
 */
export async function loadSharedSegments (): Promise<(size: number) => SharedSegment> {
  const koffi = await loadKoffi()
  const libc = koffi.load(null)
  const shmget = libc.func('shmget', 'int', ['int', 'size_t', 'int'])
  const shmat = libc.func('shmat', 'void *', ['int', 'void *', 'int'])
  const shmctl = libc.func('shmctl', 'int', ['int', 'int', 'void *'])
  return (size) => {
    const id: number = shmget(IPC_PRIVATE, size, IPC_CREAT | OWNER_ONLY)
    if (id < 0) throw NativeError.ofCall('shmget', koffi.errno())
    const forget = (): void => { shmctl(id, IPC_RMID, null) }
    const pointer: unknown = shmat(id, null, 0)
    if (koffi.address(pointer) === FAILED) {
      const err = NativeError.ofCall('shmat', koffi.errno())
      forget()
      throw err
    }
    return { id, memory: koffi.view(pointer, size), forget }
  }
}

/** (void *) -1 */
const FAILED = 0xffffffffffffffffn

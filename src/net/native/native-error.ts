/** Errors of code that needs the C library. Folders above may define subclasses. */
import { CodedError } from '../../errors.ts'
import { errnoText } from './errno.ts'

export type NativeErrorCode =
  | 'ERR_NATIVE_KOFFI' // the optional package `koffi` is not installed
  | 'ERR_NATIVE_OPENSSL' // functions of OpenSSL 3 are not in the process, or do something else
  | 'ERR_NATIVE_CALL' // a system call failed: `syscall` says which one

export interface NativeErrorInit extends ErrorOptions {
  /** The error number, positive as in C, where the call tells it. */
  syscall?: string
  /** A positive number, as C has it. Not all calls tell. */
  errno?: number
}

/** The C library cannot be called, or one of its functions failed. */
export class NativeError extends CodedError<NativeErrorCode> {
  override readonly name = 'NativeError'
  readonly syscall: string | undefined
  readonly errno: number | undefined

  constructor (code: NativeErrorCode, message: string, { syscall, errno, ...options }: NativeErrorInit = {}) {
    super(code, message, options)
    this.syscall = syscall
    this.errno = errno
  }

  /** The error of a call that has failed with `errno`. */
  static ofCall (syscall: string, errno: number): NativeError {
    return new NativeError('ERR_NATIVE_CALL', `${syscall}: ${errnoText(errno)}`, { syscall, errno })
  }
}

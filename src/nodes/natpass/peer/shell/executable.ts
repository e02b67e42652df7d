/** Whether the system can execute a file, found out before a process is made: a terminal reports it late, and as output. */
import { constants } from 'node:fs'
import { access, open, stat } from 'node:fs/promises'
import { ShellError } from './shell-error.ts'

/** Bytes of the first line that the kernel reads. */
const FIRST_LINE = 256

/** Scripts whose interpreter is a script, as the kernel counts them. */
const MAX_DEPTH = 4

const refusal = (file: string, cause: unknown): ShellError => new ShellError('ERR_SHELL_START', `cannot execute ${file}: ${(cause as Error).message}`, { cause })

/** @throws {ShellError} `ERR_SHELL_START` when it is no file, may not be executed, or is a script whose interpreter cannot be */
export async function verifyExecutable (file: string): Promise<void> {
  let next: string | undefined = file
  for (let depth = 0; next !== undefined; depth++) {
    if (depth > MAX_DEPTH) throw new ShellError('ERR_SHELL_START', `cannot execute ${file}: too many interpreters of interpreters`)
    next = await verifyOne(next)
  }
}

/** @returns the interpreter of a script */
async function verifyOne (file: string): Promise<string | undefined> {
  try {
    if (!(await stat(file)).isFile()) throw new Error('not a file')
    await access(file, constants.X_OK)
  } catch (err) {
    throw refusal(file, err)
  }
  return await interpreterOf(file)
}

/** Undefined for what is no script, or may be executed without being read. */
async function interpreterOf (file: string): Promise<string | undefined> {
  const handle = await open(file).catch(() => undefined)
  if (handle === undefined) return undefined
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(FIRST_LINE), 0, FIRST_LINE, 0)
    return /^#![ \t]*([^\s\0]+)/.exec(buffer.toString('latin1', 0, bytesRead))?.[1]
  } finally {
    await handle.close()
  }
}

/** The client of the control socket of a running program. */
import type { Socket } from 'node:net'
import { listOf } from '../../text/phrases.ts'
import { codeOf, reason } from '../reason.ts'
import { UsageError } from '../usage-error.ts'
import { dialUnix } from '../unix-socket.ts'
import { OTHER_PROCESS, type Request } from './server.ts'

/** Bytes; enough for the status of many thousand connections. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024

/** A stopped process (SIGSTOP) does not answer. */
const ANSWER_TIMEOUT_MS = 15_000

/** The program has answered with an error, or there is no such program. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
  readonly code = 'ERR_CONTROL'

  /** There is no such process, as opposed to one that has answered with an error. */
  readonly isAbsent: boolean

  constructor (message: string, isAbsent = false) {
    super(message)
    this.isAbsent = isAbsent
  }
}

/** Which process to ask, and by which socket. */
export interface ControlTarget {
  path: string
  program: 'relay' | 'peer'
  /** Other sockets of the program, to be named in the error when there is no listener at `path`. */
  others?: readonly string[]
  /** Ask the process at one of the other sockets instead, when there is exactly one. */
  anyOther?: boolean
  /** Absolute path of the configuration file that the process has to run with. Default: any, or none. */
  config?: string
  /** Milliseconds that the answer may take. Default: 15 s. */
  timeout?: number
}

export interface ControlResponse {
  answer: Record<string, unknown>
  /** Bytes that were received after the answer. */
  rest: Buffer
  socket: Socket
}

/**
 * Sends a request and reads the answer; the socket stays open for what follows.
 *
 * @throws {UsageError | ControlError} with one line that says what to do
 */
export async function openRequest (target: ControlTarget, request: Request): Promise<ControlResponse> {
  const { program, config, timeout = ANSWER_TIMEOUT_MS } = target
  const { path, socket } = await dial(target)
  const timer = setTimeout(() => { socket.destroy(new ControlError(`no answer within ${timeout / 1000} seconds from the process behind ${path}`)) }, timeout)
  try {
    socket.on('error', () => {}) // surfaces in the reading
    socket.write(`${JSON.stringify({ ...request, config })}\n`)
    const { line, rest } = await readLine(socket, path)
    return { answer: checked(line, program, path), rest, socket }
  } catch (err) {
    socket.destroy()
    throw err instanceof UsageError || err instanceof ControlError ? err : new ControlError(`the process behind ${path} has ended the connection: ${reason(err)}`)
  } finally {
    clearTimeout(timer)
  }
}

async function dial ({ path, others = [], anyOther = false }: ControlTarget): Promise<{ path: string, socket: Socket }> {
  try {
    return { path, socket: await dialUnix(path) }
  } catch (err) {
    if (codeOf(err) === 'EACCES') throw new ControlError(`no permission to ask the process behind ${path}: only its owner and root may`)
  }
  const attempts = await Promise.allSettled(others.map(async (path) => ({ path, socket: await dialUnix(path) })))
  const found = attempts.flatMap((attempt) => attempt.status === 'fulfilled' ? attempt.value : [])
  if (anyOther && found.length === 1) return found[0]
  for (const { socket } of found) socket.destroy()
  if (found.length === 0) throw new ControlError(`nobody listens at ${path}: is it running? (--control says where to ask)`, true)
  throw new ControlError(`nobody listens at ${path}, expected --control ${listOf(found.map(({ path }) => path))}`, true)
}

/** The same for a command without anything after the answer: closes the socket. */
export async function sendRequest (target: ControlTarget, request: Request): Promise<Record<string, unknown>> {
  const { answer, socket } = await openRequest(target, request)
  socket.destroy()
  return answer
}

async function readLine (socket: Socket, path: string): Promise<{ line: string, rest: Buffer }> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new ControlError(`an endless answer from the process behind ${path}`)
    if (!chunk.includes(0x0a)) continue
    const all = Buffer.concat(chunks)
    const end = all.indexOf(0x0a)
    return { line: all.toString('utf8', 0, end), rest: all.subarray(end + 1) }
  }
  throw new ControlError(`no answer from the process behind ${path}`)
}

function checked (line: string, program: string, path: string): Record<string, unknown> {
  const answer = parse(line)
  if (answer?.program !== program) throw new ControlError(`the process behind ${path} is ${answer?.program === undefined ? 'no tunpipe' : `a ${String(answer.program)}`}, expected a ${program}`)
  const { error, code } = answer
  if (typeof error !== 'string') return answer
  if (code === OTHER_PROCESS) throw new ControlError(`the process behind ${path} is another one: ${error}`, true)
  throw code === 'ERR_USAGE' || code === 'ERR_OPTION' ? new UsageError(error) : new ControlError(error)
}

function parse (line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value as Record<string, unknown> : undefined
  } catch {
    return undefined
  }
}

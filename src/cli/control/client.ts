/** Asks a running program through its control socket. */
import type { Socket } from 'node:net'
import { codeOf } from '../reason.ts'
import { UsageError } from '../usage-error.ts'
import { dialUnix } from '../unix-socket.ts'
import type { Request } from './server.ts'

/** A status of many thousand connections. */
const LONGEST_ANSWER = 256 * 1024 * 1024

/** The program has refused, or there is none. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
  readonly code = 'ERR_CONTROL'
}

export interface Asked {
  answer: Record<string, unknown>
  /** What has come behind the answer. */
  rest: Buffer
  socket: Socket
}

/** Rejects with `UsageError` or {@link ControlError}, each one line that says what to do. */
export async function ask (path: string, request: Request): Promise<Asked> {
  const socket = await dialUnix(path).catch((err) => { throw new ControlError(why(path, err)) })
  socket.write(`${JSON.stringify(request)}\n`)
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (!chunk.includes(0x0a)) {
      if (length > LONGEST_ANSWER) break
      continue
    }
    const all = Buffer.concat(chunks)
    const end = all.indexOf(0x0a)
    return { answer: checked(JSON.parse(all.toString('utf8', 0, end))), rest: all.subarray(end + 1), socket }
  }
  throw new ControlError(`no answer from the process behind ${path}`)
}

/** The same for a command whose answer is all there is. */
export async function askOnce (path: string, request: Request): Promise<Record<string, unknown>> {
  const { answer, socket } = await ask(path, request)
  socket.destroy()
  return answer
}

function checked (answer: Record<string, unknown>): Record<string, unknown> {
  const { error, code } = answer
  if (typeof error !== 'string') return answer
  throw code === 'ERR_USAGE' || code === 'ERR_OPTION' ? new UsageError(error) : new ControlError(error)
}

function why (path: string, err: unknown): string {
  if (codeOf(err) === 'EACCES') return `no permission to ask the process behind ${path}: only its owner and root may`
  return `nobody listens at ${path}: is it running? (--control says where to ask)`
}

/** The port in front of that of the server: one question of a client, or, from this machine, one command of the operator as text. */
import { isUtf8 } from 'node:buffer'
import type { Rendezvous } from './rendezvous.ts'
import { framedMessages } from '../protocol/messages.ts'
import { lingeringClose } from '../../common/lingering-close.ts'
import { LinkClosedError } from '../../../errors.ts'
import { isLoopback } from '../../../net/client-address.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'
import { overAccepted, type ConnectionInfo } from '../../../transports/connection-guard.ts'
import type { Batch, Clock, Link } from '../../../types.ts'

/** Milliseconds for a command, and its bytes. */
const COMMAND_TIME = 1000
const LONGEST_COMMAND = 1024

/** The bytes of a message, behind its length, that begin a question: the tags of both, of two bytes. No text has them. */
const FIRST_OF_TAG: ReadonlySet<number> = new Set([0xa2, 0xba])
const SECOND_OF_TAG = 0x01

/** Serves one connection; settles when it has ended, and never rejects. */
export async function acceptNatTest (rendezvous: Rendezvous, link: Link & ConnectionInfo, { hasConsole, clock }: { hasConsole: boolean, clock: Clock }): Promise<void> {
  if (!hasConsole || !isLoopback(link.remote.host)) return await rendezvous.accept(overAccepted(link, framedMessages), 'nat_test')
  const reads = link.source[Symbol.asyncIterator]()
  let first: Uint8Array
  try {
    first = await firstRead(link, reads, clock)
  } catch (err) {
    link.abort(err as Error)
    return
  }
  const rest = wrapLink(link, { source: resumed(first, reads), flow: undefined })
  if (isQuestion(first)) return await rendezvous.accept(overAccepted(rest, framedMessages), 'nat_test')
  const isCommand = first.length > 0 && first.length <= LONGEST_COMMAND && isUtf8(first)
  const answer = isCommand ? rendezvous.command(Buffer.from(first).toString()) : ''
  await lingeringClose(rest, clock, ({ sink }) => sink(one(Buffer.from(answer))))
}

/** What comes by the first read; nothing when the other side has ended. */
async function firstRead (link: Link, reads: AsyncIterator<Batch>, clock: Clock): Promise<Uint8Array> {
  const timer = clock.set(COMMAND_TIME, () => { link.abort(new LinkClosedError('no command')) })
  try {
    const { done, value } = await reads.next()
    return done === true ? new Uint8Array(0) : Buffer.concat(value)
  } finally {
    clock.clear(timer)
  }
}

/** Whether a read begins with the frame of a question. */
function isQuestion (read: Uint8Array): boolean {
  const header = (read[0] & 3) + 1
  return FIRST_OF_TAG.has(read[header]) && read[header + 1] === SECOND_OF_TAG
}

async function * resumed (first: Uint8Array, reads: AsyncIterator<Batch>): AsyncGenerator<Batch> {
  if (first.length > 0) yield [first]
  for (let read = await reads.next(); read.done !== true; read = await reads.next()) yield read.value
}

async function * one (bytes: Uint8Array): AsyncGenerator<Batch> {
  if (bytes.length > 0) yield [bytes]
}

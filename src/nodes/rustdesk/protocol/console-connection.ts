/** Connections of this machine to a port that takes commands of the operator as text beside messages (RustDesk protocol, sections 4.8 and 5). */
import { isUtf8 } from 'node:buffer'
import { lingeringClose } from '../../common/lingering-close.ts'
import { LinkClosedError } from '../../../errors.ts'
import { resumed } from '../../../streams/resumed.ts'
import type { ConnectionInfo } from '../../../transports/connection-guard.ts'
import type { Batch, Clock, Link } from '../../../types.ts'

/** Milliseconds for a command, and its bytes. */
const COMMAND_TIME = 1000
const LONGEST_COMMAND = 1024

/** How a port tells commands from messages. */
export interface ConsoleInit {
  /** The first bytes of the tags that a message may begin with, each of two bytes. No text has them. */
  readonly tags: ReadonlySet<number>
  /** Runs a command. */
  readonly command: (text: string) => string
  readonly clock: Clock
}

/** The second byte of the tag of a member with a number of 16 to 31. */
const SECOND_OF_TAG = 0x01

/**
 * Serves a connection that brings a command: what comes by its first read.
 *
 * @returns the connection, when it brings messages; undefined when it was served, or has ended. Never rejects
 */
export async function withoutCommands<L extends Link & ConnectionInfo> (link: L, { tags, command, clock }: ConsoleInit): Promise<L | undefined> {
  const reads = link.source[Symbol.asyncIterator]()
  try {
    const first = await firstRead(link, reads, clock)
    const rest = resumed(link, reads, first.length > 0 ? [first] : []) as L
    if (isMessage(first, tags)) return rest
    const isCommand = first.length > 0 && first.length <= LONGEST_COMMAND && isUtf8(first)
    const answer = isCommand ? command(Buffer.from(first).toString()) : ''
    await lingeringClose(rest, clock, ({ sink }) => sink(one(Buffer.from(answer))))
  } catch (err) {
    link.abort(err as Error)
  }
  return undefined
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

/** Whether a read begins with the frame of a message. */
function isMessage (read: Uint8Array, tags: ReadonlySet<number>): boolean {
  const header = (read[0] & 3) + 1
  return tags.has(read[header]) && read[header + 1] === SECOND_OF_TAG
}

async function * one (bytes: Uint8Array): AsyncGenerator<Batch> {
  if (bytes.length > 0) yield [bytes]
}

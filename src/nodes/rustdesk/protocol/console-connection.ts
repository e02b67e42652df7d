/** Connections of this machine to a port that takes commands of the operator as text beside messages (RustDesk protocol, sections 4.8 and 5). */
import { isUtf8 } from 'node:buffer'
import { lingeringClose } from '../../common/lingering-close.ts'
import { LinkClosedError } from '../../../errors.ts'
import { AbortableSource } from '../../../streams/abortable-source.ts'
import { resumed } from '../../../streams/resumed.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'
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

const END_OF_LINE = 0x0a

/**
 * Serves a connection that brings a command: what comes by its first read, or by several, as long as that may be the beginning of a frame.
 *
 * @returns the connection, when it brings messages; undefined when it was served, or has ended. Never rejects
 */
export async function withoutCommands<L extends Link & ConnectionInfo> (link: L, { tags, command, clock }: ConsoleInit): Promise<L | undefined> {
  const reads = link.source[Symbol.asyncIterator]()
  try {
    const { first, kind } = await beginning(reads, tags, clock)
    if (kind === 'message') return resumed(link, reads, [first]) as L
    if (first.length === 0) throw new LinkClosedError('no command')
    const isCommand = first.length <= LONGEST_COMMAND && isUtf8(first)
    const answer = isCommand ? command(Buffer.from(first).toString()) : ''
    await lingeringClose(wrapLink<Link>(link, { source: leavable(reads), flow: undefined }), clock, ({ sink }) => sink(one(Buffer.from(answer))))
  } catch (err) {
    link.abort(err as Error)
  }
  return undefined
}

type Kind = 'message' | 'text'

/** Reads until it is known what the connection brings; that is text when nothing else has shown in time, or the other side has ended. */
async function beginning (reads: AsyncIterator<Batch>, tags: ReadonlySet<number>, clock: Clock): Promise<{ first: Uint8Array, kind: Kind }> {
  const source = leavable(reads)
  const timer = clock.set(COMMAND_TIME, () => { source.abort() })
  let first: Uint8Array = new Uint8Array(0)
  try {
    for (;;) {
      const { done, value } = await source.next()
      if (done === true) return { first, kind: 'text' }
      first = Buffer.concat([first, ...value])
      const kind = kindOf(first, tags)
      if (kind !== undefined) return { first, kind }
    }
  } finally {
    clock.clear(timer)
  }
}

/** The next reader goes on where the one before was aborted. */
const leavable = (reads: AsyncIterator<Batch>): AbortableSource<Batch> => new AbortableSource({ [Symbol.asyncIterator]: () => reads }, { keep: true })

/** By the header of a frame and the tag behind it; undefined while there may be more to come of these. A whole line is text: of headers that come alone only those of 640 to 703 bytes end as one. */
function kindOf (read: Uint8Array, tags: ReadonlySet<number>): Kind | undefined {
  if (read.length === 0) return undefined
  const tag = (read[0] & 3) + 1
  if (tag + 1 < read.length) return tags.has(read[tag]) && read[tag + 1] === SECOND_OF_TAG ? 'message' : 'text'
  if (tag < read.length && !tags.has(read[tag])) return 'text'
  return read[read.length - 1] === END_OF_LINE ? 'text' : undefined
}

async function * one (bytes: Uint8Array): AsyncGenerator<Batch> {
  if (bytes.length > 0) yield [bytes]
}

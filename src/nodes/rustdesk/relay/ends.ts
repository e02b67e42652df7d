/** The two ends of a pair, as links that a bridge can join: bytes where both are TCP, else messages. */
import type { EarlySource } from './early-source.ts'
import { codec } from '../../../layer.ts'
import { AbortableSource } from '../../../streams/abortable-source.ts'
import { consumeSource } from '../../../streams/consume.ts'
import { wrapLink, type Overrides } from '../../../streams/wrap-link.ts'
import { rustdeskLength } from '../../../transforms/length-codecs.ts'
import { LengthPrefixDecoder, LengthPrefixEncoder } from '../../../transforms/length-prefix.ts'
import type { WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import type { Batch, Endpoint, Link } from '../../../types.ts'

/** Bytes of a message between TCP and WebSocket: such a message is kept until it is complete. */
export const MAX_MESSAGE = 16 * 1024 * 1024

/** A connection that has asked for a partner. */
export interface RelayPeer {
  readonly remote: Endpoint
  /** Its source is read through `early` alone. */
  readonly link: Link
  readonly early: EarlySource
  /** Of WebSocket, `link` itself. */
  readonly websocket: WebSocketLink | undefined
  /** The id that it wants to connect to, as it says; empty for the peer of that id. */
  readonly wants: string
}

/** What an end tells its pair, and what it passes on. */
export interface EndInit {
  /** Of messages without content in a row the first one. */
  passesEmpty: boolean
  /** A message without content. */
  onActivity: () => void
  /** Bytes have come: `held` may have changed. */
  onRead: () => void
}

/** One end of a pair. There is no half-close: when one has ended, nothing of the other one is forwarded any more. */
export interface PairEnd {
  readonly link: Link
  /** Bytes of memory for a message that is not complete yet. */
  readonly held: () => number
  /** Ends its source for the bridge, and discards what still comes; settles when the connection has ended. */
  readonly drain: () => Promise<void>
}

interface JoinableEnd extends PairEnd {
  /** Called once, when it has sent its last byte. */
  onEnd: () => void
}

export function endsOf (a: RelayPeer, b: RelayPeer, init: EndInit): [PairEnd, PairEnd] {
  const make = a.websocket === undefined && b.websocket === undefined ? rawEnd : (peer: RelayPeer) => messageEnd(peer, init)
  const [first, second] = [make(a), make(b)]
  first.onEnd = () => { void second.drain() }
  second.onEnd = () => { void first.drain() }
  return [first, second]
}

const rawEnd = ({ link, early }: RelayPeer): JoinableEnd => end(link, early, () => 0)

function messageEnd ({ link, early, websocket }: RelayPeer, own: EndInit): JoinableEnd {
  const { onActivity, onRead } = own
  if (websocket !== undefined) {
    websocket.limitPayload?.(MAX_MESSAGE)
    websocket.onText = websocket.onPing = websocket.onPong = onActivity
    websocket.onFrames = () => { onRead() }
    return end(link, thinned(early, own), () => websocket.held ?? 0)
  }
  const init = { maxFrame: MAX_MESSAGE }
  const decode = new LengthPrefixDecoder(rustdeskLength, init)
  const frames = codec(() => ({ decode, encode: new LengthPrefixEncoder(rustdeskLength, init) }))
  const upper = frames(wrapLink(link, { source: told(early, onRead), flow: undefined, poolReads: undefined }))
  const members = { readAhead: link.readAhead?.bind(link), boundUnsent: link.boundUnsent?.bind(link), delivery: link.delivery?.bind(link) }
  return end(upper, thinned(upper.source, own), () => decode.capacity, members)
}

/** Tells when the reader has handled a read. */
function told (source: AsyncIterator<Batch>, onHandled: () => void): AsyncIterableIterator<Batch> {
  const iterator: AsyncIterableIterator<Batch> = {
    next () {
      onHandled()
      return source.next()
    },
    [Symbol.asyncIterator]: () => iterator
  }
  return iterator
}

/**
 * Of messages without content in a row the first one alone, as they cost no bandwidth. That one matters: a client that has no key of the other
 * one answers it so.
 */
async function * thinned (source: AsyncIterable<Batch>, { passesEmpty, onActivity }: EndInit): AsyncGenerator<Batch> {
  let wasEmpty = !passesEmpty
  const isPassed = ({ length }: Uint8Array): boolean => {
    const isEmpty = length === 0
    const isWanted = !isEmpty || !wasEmpty
    wasEmpty = isEmpty || !passesEmpty
    if (isEmpty) onActivity()
    return isWanted
  }
  for await (const batch of source) {
    const rest = batch.filter(isPassed)
    if (rest.length > 0) yield rest
  }
}

function end (link: Link, from: AsyncIterable<Batch>, held: () => number, members: Overrides<Link> = {}): JoinableEnd {
  const inner = from[Symbol.asyncIterator]()
  let hasEnded = false
  const note = (result: IteratorResult<Batch>): IteratorResult<Batch> => {
    if (result.done === true && !hasEnded) {
      hasEnded = true
      own.onEnd()
    }
    return result
  }
  const iterator = { next: () => inner.next().then(note), [Symbol.asyncIterator]: () => iterator }
  const source = new AbortableSource<Batch>(iterator, { keep: true })
  let draining: Promise<void> | undefined
  const own: JoinableEnd = {
    link: wrapLink(link, {
      ...members,
      source,
      flow: undefined,
      sink: async (batches) => {
        try {
          await link.sink(batches)
        } catch (err) {
          if (!hasEnded) throw err // else it has closed, and what it has sent before still goes to the other one
        }
      }
    }),
    held,
    onEnd: () => {},
    drain: () => {
      source.abort()
      draining ??= consumeSource(iterator, discard).catch(() => {}) // broken is ended as well
      return draining
    }
  }
  return own
}

const discard = (batch: Batch): void => { batch.length = 0 }

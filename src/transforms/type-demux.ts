/**
 * One handler per message type, from a table.
 *
 * ```ts
 * const receive = typeDemux<Client>({
 *   [FORWARD]: (message, client) => { forward(client, message) },
 *   [AUTH]: (message, client) => { authenticate(client, message) }
 * }, { unknown: () => {} })
 *
 * await pipe(link.source, dispatch(receive, client)) // or in a loop: receive(message, client)
 * ```
 */
import { OptionError } from '../errors.ts'
import type { Batch } from '../types.ts'

/** Called synchronously for each message of a batch: its result is not awaited, and it has to copy what it keeps of the message. */
export type Handler<C = void, M = Uint8Array> = (message: M, context: C) => void

/** Handlers by type: a byte, an op code or an enum value. */
export type Handlers<C = void, M = Uint8Array> = Readonly<Record<number | string, Handler<C, M>>>

/** A handler for each `type` of a union of messages. */
export type TypedHandlers<C, M extends { type: string }> = { readonly [Type in M['type']]: Handler<C, MessageOf<M, Type>> }

/** The messages of one type. */
export type MessageOf<M extends { type: string }, Type> = M extends unknown ? Type extends M['type'] ? M : never : never

/** Options of {@link typeDemux}. */
export interface TypeDemuxInit<C = void, M = Uint8Array> {
  /** The type of a message. Default: its first byte. */
  typeOf?: (message: M) => number | string | undefined
  /** Handles messages of other types, and those without a type. Default: throws `ERR_UNKNOWN_TYPE`. */
  unknown?: Handler<C, M>
}

/** There is no handler for the type of a message. */
export class UnknownTypeError extends Error {
  override readonly name = 'UnknownTypeError'
  readonly code = 'ERR_UNKNOWN_TYPE'
}

/** Types below this are looked up in an array, others in a map. */
const DENSE = 256

const rejectUnknown = (): never => {
  throw new UnknownTypeError('no handler for this type of message')
}

/**
 * Makes the function to call with each message and its context (its client, say). One serves any number of links, since the context is an
 * argument.
 *
 * @throws {OptionError} when a type can never occur
 */
export function typeDemux<C = void> (handlers: Handlers<C>, init?: TypeDemuxInit<C>): Handler<C>
export function typeDemux<C, M extends { type: string }> (handlers: TypedHandlers<C, M>, init: TypeDemuxInit<C, M> & { typeOf: unknown }): Handler<C, M>
export function typeDemux<C, M> (handlers: Handlers<C, M>, init: TypeDemuxInit<C, M> & { typeOf: unknown }): Handler<C, M>
export function typeDemux<C, M> (handlers: Handlers<C, M>, { typeOf, unknown = rejectUnknown }: TypeDemuxInit<C, M> = {}): Handler<C, M> {
  const byType = new Map<number | string | undefined, Handler<C, M>>()
  const table: Array<Handler<C, M>> = Array(DENSE).fill(unknown)
  for (const [key, handler] of Object.entries(handlers)) {
    const type = Number(key)
    const isByte = String(type) === key && type in table
    if (typeof handler !== 'function') throw new OptionError(`the handler of type ${key} is not a function`)
    if (typeOf === undefined && !isByte) throw new OptionError(`type ${key} is not a byte`)
    if (isByte) table[type] = handler
    byType.set(key, handler)
    if (String(type) === key) byType.set(type, handler) // keys are strings, types may be either
  }

  if (typeOf === undefined) {
    const byFirstByte: Handler<C, M & Uint8Array> = (message, context) => (message.length > 0 ? table[message[0]] : unknown)(message, context)
    return byFirstByte as Handler<C, M>
  }
  return (message, context) => {
    const type = typeOf(message)
    const handler = typeof type === 'number' && type >= 0 && type < DENSE ? table[type] : byType.get(type)
    return (handler ?? unknown)(message, context)
  }
}

/**
 * The end of a pipeline: reads a source to its end and calls the handler of each message. Rejects with an error of the source or of a
 * handler; the caller has to abort the link then.
 *
 * ```ts
 * await pipe(messages.source, dispatch(receive, client))
 * ```
 */
export function dispatch<M> (demux: Handler<void, M>): (source: AsyncIterable<Batch<M>>) => Promise<void>
export function dispatch<M, C> (demux: Handler<C, M>, context: C): (source: AsyncIterable<Batch<M>>) => Promise<void>
export function dispatch<M, C> (demux: Handler<C, M>, context?: C): (source: AsyncIterable<Batch<M>>) => Promise<void> {
  return async (source) => {
    for await (const batch of source) {
      for (const message of batch) demux(message, context as C)
    }
  }
}

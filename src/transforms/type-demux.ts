/**
 * One handler for each type of message, found in a table that is made once.
 *
 * ```ts
 * const receive = typeDemux<Client>({
 *   [FORWARD]: (message, client) => { forward(client, message) },
 *   [AUTH]: (message, client) => { authenticate(client, message) }
 * }, { unknown: () => {} })
 *
 * await pipe(link.source, dispatch(receive, client)) // or in a loop of one's own: receive(message, client)
 * ```
 */
import { OptionError } from '../errors.ts'
import type { Batch } from '../types.ts'

/** Called while its batch is gone through: what it returns is not awaited, and it copies what it keeps of the message. */
export type Handler<C = void, M = Uint8Array> = (message: M, context: C) => void

/** Handlers by type: a byte, an op code or the value of an enum. */
export type Handlers<C = void, M = Uint8Array> = Readonly<Record<number | string, Handler<C, M>>>

/** A handler for each `type` of a union of messages. */
export type TypedHandlers<C, M extends { type: string }> = { readonly [Type in M['type']]: Handler<C, MessageOf<M, Type>> }

type MessageOf<M extends { type: string }, Type> = M extends unknown ? Type extends M['type'] ? M : never : never

export interface TypeDemuxInit<C = void, M = Uint8Array> {
  /** The type of a message. Default: its first byte. */
  typeOf?: (message: M) => number | string | undefined
  /** Handles a message of any other type, and one without a type. Default: throws `ERR_UNKNOWN_TYPE`. */
  unknown?: Handler<C, M>
}

/** A message has a type that nobody handles. */
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
 * Makes the function to call with each message and its context (the client that it came from, say). One serves any
 * number of links, since the context is an argument. `ERR_OPTION` when a type can never come.
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
 * The end of a pipeline: reads a source to its end and hands each message to its handler. Rejects with what the source or a handler
 * threw; the caller aborts the link then.
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

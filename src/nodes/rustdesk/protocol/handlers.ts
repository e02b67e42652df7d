/**
 * One handler per kind of message, by the name of its member.
 *
 * ```ts
 * const receive = memberDemux<Client>({
 *   register_peer: ({ id }, client) => { register(id, client) }
 * }, (message, client) => { client.close() })
 *
 * await pipe(messages.source, dispatch(receive, client)) // or in a loop: receive(message, client)
 * ```
 */
import { typeDemux, type Handler } from '../../../transforms/type-demux.ts'
import type { MemberName, Members, RendezvousMessage } from './messages.ts'

/** Handlers of the members that a side knows. */
export type MemberHandlers<C = void> = { readonly [Name in MemberName]?: Handler<C, Members[Name]> }

/**
 * Makes the function to call with each message and its context.
 *
 * @param unknown - handles members without a handler, and messages without a member
 */
export function memberDemux<C = void> (handlers: MemberHandlers<C>, unknown: Handler<C, RendezvousMessage>): Handler<C, RendezvousMessage> {
  const byName = Object.fromEntries((Object.keys(handlers) as MemberName[]).map((name) => [name, bound(name, handlers[name] as Handler<C, Members[typeof name]>)]))
  return typeDemux<C, RendezvousMessage>(byName, { typeOf: ({ union }) => union, unknown })
}

const bound = <C, Name extends MemberName>(name: Name, handle: Handler<C, Members[Name]>): Handler<C, RendezvousMessage> =>
  (message, context) => { handle(message[name] as Members[Name], context) }

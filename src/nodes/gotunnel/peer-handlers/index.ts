/** What a peer does with the messages of a control connection: one file for each type, and this table. */
import { openDataChannel } from './open-data-channel.ts'
import { pong } from './pong.ts'
import { unregistered } from './unregistered.ts'
import type { ToClient } from '../messages.ts'
import type { PeerSession } from '../peer-session.ts'
import { typeDemux } from '../../../transforms/type-demux.ts'

/** All types that `readToClient` lets through have a handler. */
export const receive = typeDemux<PeerSession, ToClient>({
  open_data_channel: openDataChannel,
  pong,
  unregistered
}, { typeOf: ({ type }) => type })

/** What a relay does with the messages of a control connection: one file for each type, and this table. */
import { dataChannelFailed } from './data-channel-failed.ts'
import { offlinePort } from './offline-port.ts'
import { onlinePort } from './online-port.ts'
import { ping } from './ping.ts'
import type { ToServer } from '../messages.ts'
import type { Session } from '../session.ts'
import type { Shared } from '../shared.ts'
import { typeDemux } from '../../../transforms/type-demux.ts'

/** What a message is about. */
export interface Control {
  session: Session
  shared: Shared
}

/** All types that `readToServer` lets through have a handler. */
export const receive = typeDemux<Control, ToServer>({
  ping,
  offline_port: offlinePort,
  online_port: onlinePort,
  data_channel_failed: dataChannelFailed
}, { typeOf: ({ type }) => type })

/** Handlers of a relay for the messages of a connection (candy protocol, section 1.6). */
import type { Admission } from './admission.ts'
import { MessageType } from '../protocol/messages.ts'
import type { Session } from './session.ts'
import { addressed, forward } from './traffic.ts'
import { typeDemux, type Handler } from '../../../transforms/type-demux.ts'

/**
 * Other types, including ROUTE, which only servers send, and empty messages are ignored (candy protocol, section 1.1).
 *
 * @param onAuth called after AUTH; the connection may have an address by then
 */
export function receiver (admission: Admission, onAuth: (session: Session) => void): Handler<Session> {
  return typeDemux<Session>({
    [MessageType.AUTH]: (message, session) => {
      session.frameLimiter.handshake()
      admission.auth(session, message)
      onAuth(session)
    },
    [MessageType.FORWARD]: (message, session) => { forward(session, message) },
    [MessageType.DHCP]: (message, session) => {
      session.frameLimiter.handshake()
      admission.dhcp(session, message)
    },
    [MessageType.CONN]: (message, session) => { addressed(session, message, 'CONN') },
    [MessageType.VMAC]: (message, session) => {
      session.frameLimiter.handshake()
      admission.vmac(session, message)
    },
    [MessageType.DISCOVERY]: (message, session) => { addressed(session, message, 'DISCOVERY') },
    [MessageType.GENERAL]: (message, session) => { addressed(session, message, 'GENERAL') }
  }, { unknown: (_message, session) => { session.frameLimiter.ignored() } })
}

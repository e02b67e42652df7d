/** A WebSocket of a browser with code-server of another client (natpass protocol, sections 4.2 and 6.6). */
import type { WebSocket } from 'ws'
import type { CodeChannel } from './code-channel.ts'
import { CodeSocket } from './code-socket.ts'
import { headerMap, type Headers } from './headers.ts'
import { pingEach } from '../page/pings.ts'
import { MessageType } from '../../protocol/message-types.ts'
import type { Clock } from '../../../../types.ts'

/** Milliseconds between two pings. */
const PING = 30_000

export interface RemoteSocketInit {
  channel: CodeChannel
  uri: string
  headers: Headers
  clock: Clock
  /** Accepts the upgrade of the browser. @param protocol - of the answer, or empty */
  accept (protocol: string, take: (socket: WebSocket) => void): void
  refuse (): void
  /** Called when the connection of the browser is closed before the answer. */
  whenGone (leave: () => void): void
}

export function forwardSocket ({ channel, uri, headers, clock, accept, refuse, whenGone }: RemoteSocketInit): void {
  let joined: CodeSocket | undefined
  let isAnswered = false
  const stream = channel.add(channel.nextId(), {
    take: (message) => {
      if (joined !== undefined) return joined.take(message)
      const answer = message.csconn_rep
      if (answer == null || isAnswered) return
      isAnswered = true
      if (answer.ok !== true) {
        stream.close()
        return refuse()
      }
      accept(answer.header?.['sec-websocket-protocol']?.values?.[0] ?? '', (socket) => {
        joined = new CodeSocket(socket, stream, channel)
        pingEach(PING, socket, clock)
      })
    },
    fail: (err) => { joined === undefined ? refuse() : joined.end(err.message) }
  })
  whenGone(() => {
    if (joined !== undefined || stream.isOver) return
    stream.send({ _type: MessageType.codeData, csdata: { request_id: stream.id, ok: false, type: 1 } })
    stream.close()
  })
  stream.send({ _type: MessageType.codeConnect, csconn: { request_id: stream.id, uri, header: headerMap(headers) } })
}

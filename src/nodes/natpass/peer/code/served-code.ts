/** A link of another client to code-server: requests and WebSockets over its Unix socket (natpass protocol, section 4.3). */
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { CodeChannel } from './code-channel.ts'
import { CodeSocket, MAX_MESSAGE } from './code-socket.ts'
import { headersOf, type HeaderMap } from './headers.ts'
import { hostOf, refuseRequest, serveRequest, verifyUri } from './served-request.ts'
import { MessageType } from '../../protocol/message-types.ts'
import type { MessageInit } from '../../protocol/messages.ts'
import { reasonOf } from '../../../../text/printable.ts'
import type { MuxLink } from '../../../../transforms/link-mux/index.ts'

/** Requests and WebSockets at one time, of one link and of all links of a client: each is a connection to code-server. */
const MAX_STREAMS = 256
const MAX_OF_CLIENT = 512

/** Milliseconds for code-server to accept a WebSocket. */
const HANDSHAKE_TIMEOUT = 30_000

/**
 * Serves a link until it is over. Settles with the reason.
 *
 * @param socketPath - where code-server listens
 * @param channels - of all links of the client
 */
export async function serveCode (link: MuxLink, socketPath: string, channels: Set<CodeChannel>): Promise<Error> {
  const channel = new CodeChannel(link)
  const mayOpen = (): boolean => channel.size < MAX_STREAMS && [...channels].reduce((sum, { size }) => sum + size, 0) < MAX_OF_CLIENT
  channels.add(channel)
  return await channel.run((message, id) => {
    const isRequest = message._type as number === MessageType.codeRequest
    if (mayOpen()) isRequest ? serveRequest(channel, id, message, socketPath) : serveSocket(channel, id, message, socketPath)
    else isRequest ? refuseRequest(channel, id, 503, 'too many requests at once') : refuseSocket(channel, id, 'too many requests at once')
  }).finally(() => { channels.delete(channel) })
}

function refuseSocket (channel: CodeChannel, id: number, msg: string): void {
  channel.send({ _type: MessageType.codeConnectResponse, csconn_rep: { request_id: id, ok: false, msg } })
}

function serveSocket (channel: CodeChannel, id: number, message: MessageInit, socketPath: string): void {
  let socket: WebSocket
  try {
    socket = dial(message.csconn ?? {}, socketPath)
  } catch (err) {
    return refuseSocket(channel, id, reasonOf(err as Error))
  }
  let joined: CodeSocket | undefined
  const stream = channel.add(id, {
    take: (message) => { joined === undefined ? leave() : joined.take(message) },
    fail: (err) => { joined === undefined ? socket.terminate() : joined.end(err.message) }
  })
  const leave = (): void => {
    stream.close()
    socket.terminate()
  }
  const refuse = (text: string): void => {
    if (stream.isOver || joined !== undefined) return
    stream.close()
    refuseSocket(channel, id, text)
  }
  socket.on('error', (err) => { refuse(reasonOf(err)) })
  socket.on('unexpected-response', (request, { statusCode }) => {
    refuse(`code-server answers ${statusCode}`)
    request.destroy()
  })
  socket.on('open', () => {
    const header: HeaderMap = socket.protocol === '' ? {} : { 'sec-websocket-protocol': { values: [socket.protocol] } }
    stream.send({ _type: MessageType.codeConnectResponse, csconn_rep: { request_id: id, ok: true, header } })
    joined = new CodeSocket(socket, stream, channel)
  })
}

/** @throws an error for the other end */
function dial ({ uri, header }: NonNullable<MessageInit['csconn']>, socketPath: string): WebSocket {
  const headers = headersOf(header)
  const protocols = (headers['sec-websocket-protocol'] ?? []).flatMap((value) => value.split(',').map((name) => name.trim()))
  for (const name of Object.keys(headers)) if (name.startsWith('sec-')) delete headers[name]
  return new WebSocket(`ws://unix${verifyUri(uri)}`, protocols, {
    createConnection: () => connect(socketPath),
    headers: { ...Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.join(name === 'cookie' ? '; ' : ', ')])), host: hostOf(headers) },
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE,
    handshakeTimeout: HANDSHAKE_TIMEOUT
  })
}

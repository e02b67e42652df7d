/** A UDP socket with its messages, signed and verified, and its open requests. */
import type { Clock, DatagramSocket, Endpoint } from '../../../types.ts'
import type { Identity } from '../protocol/identity.ts'
import type { ShowchainMessage } from '../protocol/messages.ts'
import { opName, type OpName } from '../protocol/op.ts'
import { Pipeline, type PipelineInit, type Received } from '../protocol/pipeline.ts'
import { OpenRequests } from '../protocol/requests.ts'
import type { Sequence } from '../protocol/sequence.ts'
import { withPlainAddresses } from '../protocol/socket-addresses.ts'

/** Messages that answer a request. */
const ANSWERS: ReadonlySet<OpName> = new Set(['directResponse', 'response', 'passResponseAck', 'proxyResponse'])

export interface NodeSocketInit extends Pick<PipelineInit, 'admit' | 'proxyId' | 'takeData' | 'onData' | 'onRead' | 'keys' | 'threads'> {
  socket: DatagramSocket
  clock: Clock
  identity: Identity
  /** Of all sockets of the identity. */
  sequence: Sequence
  /** Of messages that are no answers. */
  handlers?: PipelineInit['handlers']
}

export class NodeSocket {
  readonly requests: OpenRequests
  readonly pipeline: Pipeline
  readonly #socket: DatagramSocket

  constructor ({ sequence, handlers, admit, ...init }: NodeSocketInit) {
    const { socket, clock, identity } = init
    this.#socket = socket
    const requests = this.requests = new OpenRequests({ clock, sequence, identity, send: (message, to) => this.send(message, to) })
    const onAnswer = (received: Received): void => { requests.receive(received) }
    this.pipeline = new Pipeline({
      ...init,
      socket: withPlainAddresses(socket),
      handlers: { directResponse: onAnswer, response: onAnswer, passResponseAck: onAnswer, proxyResponse: onAnswer, ...handlers },
      admit: (received) => isAnswer(received) ? (requests.expects(received) ? undefined : 'target') : admit?.(received)
    })
  }

  get local (): Endpoint { return this.#socket.local }

  /** Signs what is to be signed, and sends it. */
  send (message: ShowchainMessage, to: Endpoint): boolean | Promise<boolean> { return this.pipeline.send(message, to) }

  /** Reads until the socket ends. @throws what broke it */
  run (): Promise<void> { return this.pipeline.run() }

  close (): void {
    this.requests.close()
    this.#socket.close()
  }
}

function isAnswer ({ message: { op } }: Received): boolean {
  const name = opName(op)
  return name !== undefined && ANSWERS.has(name)
}

/** A worker's connection as a link in the main thread: its control messages arrive here, and commands go to the worker. */
import { AsyncQueue } from '../../../../streams/async-queue.ts'
import { CodedError, LinkBusyError } from '../../../../errors.ts'
import { consumeSource } from '../../../../streams/consume.ts'
import { WebSocketProtocolError, type WebSocketLink } from '../../../../transforms/websocket-frames/index.ts'
import type { ConnectionInfo } from '../../../../transports/connection-guard.ts'
import type { ConnectionSlot } from '../../../../limits/connection-limiter.ts'
import type { Batch, Endpoint, PacketPort, Take } from '../../../../types.ts'
import type { Member } from '../member.ts'
import type { Session } from '../session.ts'
import type { Fault, WorkerCommand } from './messages.ts'

/** An error of another thread. */
class RemoteLinkError extends CodedError<string> {
  override readonly name = 'RemoteLinkError'
}

/** An error without a code is a bug of the worker, and stays recognisable as one. */
export const errorOf = ({ code, message }: Fault): Error => code === undefined ? new Error(message) : new RemoteLinkError(code, message)

export class RemoteLink implements WebSocketLink, ConnectionInfo {
  readonly id: number
  readonly remote: Endpoint
  readonly path: string
  readonly slot: ConnectionSlot
  readonly source: AsyncIterable<Batch>
  readonly port: PacketPort & { queued: number }
  onPing: ((payload: Uint8Array) => void) | undefined
  onPong: ((payload: Uint8Array) => void) | undefined
  onText: ((payload: Uint8Array) => void) | undefined
  /** Set once the relay serves it. */
  session: Session | undefined
  readonly #send: (command: WorkerCommand) => void
  readonly #incoming = new AsyncQueue()

  constructor (id: number, { remote, path, slot }: { remote: Endpoint, path: string, slot: ConnectionSlot }, send: (command: WorkerCommand) => void) {
    this.id = id
    this.remote = remote
    this.path = path
    this.slot = slot
    this.#send = send
    this.source = this.#read()
    this.port = {
      send (messages) {
        send({ type: 'send', id, messages })
        return messages.length
      },
      queued: 0,
      limit: Infinity // answers only, and each message has at most one
    }
  }

  async sink (): Promise<void> { throw new LinkBusyError('a connection of a worker takes packets only') }

  ping (): boolean {
    this.#send({ type: 'ping', id: this.id })
    return true
  }

  close (code: number, reason: string): void { this.#send({ type: 'close', id: this.id, code, reason }) }

  abort (err: Error): void {
    this.#send({ type: 'abort', id: this.id })
    this.#incoming.fail(err)
  }

  /** A message counts as handled when `take` has returned, or its promise has settled. */
  flow (take: Take, signal?: AbortSignal): Promise<void> { return consumeSource(this.source, take, signal) }

  /** Delivers one message; the next one comes after `done`. `received`: messages received so far, including this one. */
  push (message: Uint8Array, received: number): void {
    if (this.session !== undefined) this.session.received = received - 1 // the relay counts this one itself
    this.#incoming.push(message)
  }

  reject (reason: Parameters<Member['reject']>[0], detail: string, received: number): void {
    const { session } = this
    if (session === undefined) return
    session.received = received
    session.reject(reason, detail)
  }

  end (fault: Fault | undefined, received: number): void {
    if (this.session !== undefined) this.session.received = received
    if (fault === undefined) this.#incoming.end()
    else if (fault.closeCode !== undefined) this.#incoming.fail(new WebSocketProtocolError(fault.message, fault.closeCode))
    else this.#incoming.fail(errorOf(fault))
  }

  async * #read (): AsyncGenerator<Batch> {
    for await (const batch of this.#incoming) {
      yield batch
      this.#send({ type: 'done', id: this.id })
    }
  }
}

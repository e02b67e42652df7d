/** Entry point of a worker thread: listens as told, and passes accepted links through the layers to a {@link Forwarder}. */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads'
import type { Logger } from '../../../../log.ts'
import { ConnectionLimiter } from '../../../../limits/connection-limiter.ts'
import { websocketFrames } from '../../../../transforms/websocket-frames/index.ts'
import { acceptEach } from '../../../../transports/acceptor.ts'
import { overAccepted } from '../../../../transports/connection-guard.ts'
import { listenUpgraded, type UpgradedLink } from '../../../../transports/upgrade.ts'
import type { TlsListener } from '../../../../transports/certificate.ts'
import { RELAY_FRAMES } from '../settings.ts'
import { faultOf } from './connection.ts'
import { Forwarder } from './forwarder.ts'
import type { WorkerCommand, WorkerEvent, WorkerInit } from './messages.ts'

const port = parentPort as MessagePort
const init = workerData as WorkerInit
const emit = (event: WorkerEvent): void => { port.postMessage(event) }

const limiter = new ConnectionLimiter(init.limits.limiter)
const forwarder = new Forwarder(init, limiter, emit, () => {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) handle(next.message)
})
/** Read for each frame, so that it can change. */
const tolerate = { unmasked: init.limits.unmasked }
const layers = websocketFrames({ ...RELAY_FRAMES, tolerate, role: 'server' })
const listeners = new Map<number, TlsListener<UpgradedLink>>()

/** Sends log lines of the listener to the main thread; errors are converted, as they cannot be cloned completely. */
const log: Logger = {
  debug () {},
  info () {},
  warn: (fields, message) => { emit({ type: 'log', level: 'warn', fields: plain(fields), message }) },
  error: (fields, message) => { emit({ type: 'log', level: 'error', fields: plain(fields), message }) }
}

const plain = (fields: object): object => Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? value.message : value]))

async function listen ({ listener: number, fd, tls, trustedProxies }: Extract<WorkerCommand, { type: 'listen' }>): Promise<void> {
  const { handshakeTimeout } = init
  try {
    const listener = listenUpgraded({ port: 0, fd, tls, trustedProxies, log, handshakeTimeout, limiter, onProtocolMismatch: (mismatch) => { emit({ type: 'protocol mismatch', listener: number, mismatch }) } })
    listeners.set(number, listener)
    void accept(number, listener)
    await listener.port()
    emit({ type: 'listening', listener: number })
  } catch (err) {
    emit({ type: 'not listening', listener: number, fault: faultOf(err as Error) })
  }
}

async function accept (number: number, listener: TlsListener<UpgradedLink>): Promise<void> {
  try {
    await acceptEach(listener, (link) => { void forwarder.accept(overAccepted(link, layers), number) }, (err, { remote }) => {
      log.error({ remote, err }, 'connection ended by a fault of the relay')
    })
    emit({ type: 'closed', listener: number })
  } catch {
    // could not listen: reported by `port`
  }
}

function handle (command: WorkerCommand): void {
  switch (command.type) {
    case 'listen': void listen(command); return
    case 'certificate': listeners.get(command.listener)?.setCertificate(command.tls); return
    case 'unlisten':
      listeners.get(command.listener)?.close()
      listeners.delete(command.listener)
      return
    case 'limits':
      tolerate.unmasked = command.limits.unmasked
  }
  forwarder.handle(command)
}

port.on('message', handle)

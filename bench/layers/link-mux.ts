/**
 * Links over one connection against js-libp2p's yamux: both sides in this process, over a TCP connection of the loopback. Both have windows
 * of 256 KiB at first, and let them grow. A data frame has up to 16 KiB here, 64 KiB there.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { yamux } from '@chainsafe/libp2p-yamux'
import { AbstractMultiaddrConnection, type AbstractMultiaddrConnectionInit } from '@libp2p/utils'
import { compactMux, linkMux } from '../../src/transforms/index.ts'
import { streamLink } from '../../src/transports/index.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'
import type { Batch } from '../../src/types.ts'

/** Opens so many links, sends batches of elements over each of them, and settles when all has arrived. */
type Mover = (links: number, batches: number, batch: Batch) => Promise<void>

const sizeOf = (batch: Batch): number => batch.reduce((sum, { length }) => sum + length, 0)

/** A count of arrived bytes, and a promise for a number of them. */
function arrivals (): { got: (bytes: number) => void, all: (bytes: number) => Promise<void> } {
  let left = 0
  let done = (): void => {}
  return {
    got (bytes) {
      left -= bytes
      if (left === 0) done()
    },
    all (bytes) {
      left += bytes
      return new Promise((resolve) => { done = resolve })
    }
  }
}

function ours ([here, there]: Socket[]): Mover {
  const { got, all } = arrivals()
  const nothing = Buffer.alloc(0)
  const count = (batch: Batch): void => { got(sizeOf(batch)) }
  linkMux({
    codec: compactMux({ role: 'server' }),
    async onOpen (opening) {
      const link = opening.accept(nothing)
      await link.flow(count)
      await link.sink((async function * (): AsyncGenerator<Batch> {})())
    }
  })(streamLink(there))
  const mux = linkMux({ codec: compactMux({ role: 'client' }) })(streamLink(here))
  return async (links, batches, batch) => {
    const arrived = all(links * batches * sizeOf(batch))
    await Promise.all(Array.from({ length: links }, async () => {
      const link = await mux.open(nothing)
      const ended = link.flow(() => {})
      await link.sink((async function * () { for (let i = 0; i < batches; i++) yield batch })())
      await ended
    }))
    await arrived
  }
}

type Log = AbstractMultiaddrConnectionInit['log']

/** Logs nothing. */
const log: Log = Object.assign(() => {}, { error () {}, trace () {}, enabled: false, newScope: () => log })

/** A socket as a connection of libp2p, as its TCP transport makes one. */
class SocketConnection extends AbstractMultiaddrConnection {
  readonly #socket: Socket

  constructor (socket: Socket, direction: 'inbound' | 'outbound') {
    super({ log, direction, remoteAddr: undefined as never }) // the address is for logs
    this.#socket = socket
    socket.on('data', (data) => { this.onData(data) })
    socket.on('drain', () => { this.safeDispatchEvent('drain') })
    socket.on('close', () => { this.onTransportClosed() })
  }

  override sendData (data: Iterable<Uint8Array>): { sentBytes: number, canSendMore: boolean } {
    let sentBytes = 0
    let canSendMore = true
    for (const bytes of data) {
      sentBytes += bytes.byteLength
      canSendMore = this.#socket.write(bytes)
      if (!canSendMore) break
    }
    return { sentBytes, canSendMore }
  }

  override sendReset (): void { this.#socket.destroy() }

  override async sendClose (): Promise<void> { this.#socket.end() }

  override sendPause (): void { this.#socket.pause() }

  override sendResume (): void { this.#socket.resume() }
}

function theirs ([here, there]: Socket[]): Mover {
  const { got, all } = arrivals()
  const make = yamux({ enableKeepAlive: false })()
  const mux = make.createStreamMuxer(new SocketConnection(here, 'outbound'))
  make.createStreamMuxer(new SocketConnection(there, 'inbound')).addEventListener('stream', ({ detail: stream }) => {
    stream.addEventListener('message', ({ data }) => { got(data.byteLength) })
    stream.addEventListener('remoteCloseWrite', () => { void stream.close() })
  })
  return async (links, batches, batch) => {
    const arrived = all(links * batches * sizeOf(batch))
    await Promise.all(Array.from({ length: links }, async () => {
      const stream = await mux.createStream()
      for (let i = 0; i < batches; i++) {
        for (const bytes of batch) {
          if (!stream.send(bytes)) await new Promise((resolve) => { stream.addEventListener('drain', resolve, { once: true }) })
        }
      }
      await stream.close()
    }))
    await arrived
  }
}

/** The two ends of a TCP connection. */
async function socketPair (): Promise<Socket[]> {
  const server = createServer({ noDelay: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const here = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  const [there] = await once(server, 'connection') as [Socket]
  server.close()
  return [here, there]
}

export async function linkMuxBench (run: Run): Promise<void> {
  const sockets = [await socketPair(), await socketPair()]
  const [tunpipe, rival] = [ours(sockets[0]), theirs(sockets[1])]
  const cases: Array<{ what: string, links: number, batches: number, batch: Batch, unit?: string }> = [
    { what: 'bulk', links: 1, batches: 128, batch: [Buffer.alloc(65_536, 1)] },
    { what: 'bulk', links: 100, batches: 4, batch: [Buffer.alloc(65_536, 1)] },
    { what: 'small writes', links: 1, batches: 512, batch: Array(32).fill(Buffer.alloc(64, 1)) },
    { what: 'open, send, end', links: 100, batches: 1, batch: [Buffer.alloc(64, 1)], unit: 'link' }
  ]
  for (const { what, links, batches, batch, unit = 'byte' } of cases) {
    const units = unit === 'link' ? links : links * batches * sizeOf(batch)
    const moved = async (mover: Mover): Promise<number> => {
      await mover(links, batches, batch)
      return units
    }
    await measure(run, {
      bench: `link-mux, ${what}`,
      name: 'tunpipe',
      params: { links, size: batch[0].length },
      unit,
      run: () => moved(tunpipe)
    }, { name: 'yamux', run: () => moved(rival) })
  }
  for (const socket of sockets.flat()) socket.destroy()
}

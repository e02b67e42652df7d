/** Multiplexed connections with both their ends in one test. */
import type { Test } from 'tap'
import { compactMux, linkMux, type CompactMuxInit, type LinkMux, type LinkMuxLimits, type MuxLink, type MuxLinkInit, type Opening } from '../../../src/transforms/link-mux/index.ts'
import { acceptQueue, type AcceptQueue } from '../../../src/transports/acceptor.ts'
import { memoryPair } from '../../../src/transports/memory.ts'
import type { Link, Transport } from '../../../src/types.ts'

export type BytesMux = LinkMux<Uint8Array, Uint8Array>
export type BytesOpening = Opening<Uint8Array, Uint8Array>

export interface MuxPairInit extends LinkMuxLimits {
  codec?: Omit<CompactMuxInit, 'role'>
  onOpen?: (opening: BytesOpening) => Promise<void> | void
  /** The connection. Default: one in memory. */
  lower?: [Link, Link]
  /** Limits of the server alone. */
  server?: LinkMuxLimits
}

export const OK = Buffer.from('ok')

/** The client, and the server with the handler. */
export function muxPair (t: Test | undefined, { codec, onOpen, lower = memoryPair(), server: limits, ...init }: MuxPairInit = {}): { client: BytesMux, server: BytesMux } {
  const client = linkMux({ ...init, codec: compactMux({ ...codec, role: 'client' }) })(lower[0])
  const server = linkMux({ ...init, ...limits, codec: compactMux({ ...codec, role: 'server' }), onOpen })(lower[1])
  t?.teardown(() => { for (const mux of [client, server]) mux.abort(new Error('the test is over')) })
  return { client, server }
}

export interface LinkPair {
  client: MuxLink<Uint8Array>
  server: MuxLink<Uint8Array>
  muxes: { client: BytesMux, server: BytesMux }
}

/** A link, both its ends. */
export async function linkPair (t: Test, { messages, ...init }: MuxPairInit & MuxLinkInit = {}): Promise<LinkPair> {
  let server: MuxLink<Uint8Array> | undefined
  const muxes = muxPair(t, { ...init, onOpen: (opening) => { server = opening.accept(OK, { messages }) } })
  const client = await muxes.client.open(Buffer.from('open'), { messages })
  return { client, server: server as unknown as MuxLink<Uint8Array>, muxes }
}

/** A network with ports of its own whose connections are links of one connection. */
export function muxTransport (init: MuxPairInit & MuxLinkInit = {}): Transport {
  const ports = new Map<number, AcceptQueue<Link>>()
  const { messages, ...rest } = init
  const { client } = muxPair(undefined, {
    ...rest,
    onOpen (opening) {
      const queue = ports.get(Number(Buffer.from(opening.request).toString()))
      if (queue === undefined) opening.reject()
      else queue.offer(opening.accept(OK, { messages }))
    }
  })
  return {
    capabilities: { halfClose: init.codec?.credit !== false },
    async dial ({ port, signal }) {
      try {
        return await client.open(Buffer.from(String(port)), { signal, messages })
      } catch (err) {
        throw (err as { code?: string }).code === 'ERR_LINK_REFUSED' ? Object.assign(new Error(`no listener on port ${port}`), { code: 'ECONNREFUSED' }) : err
      }
    },
    listen ({ port: wanted }) {
      let port = wanted
      if (port === 0) for (port = 1; ports.has(port);) port++
      const failure = ports.has(port) ? Object.assign(new Error(`port ${port} is in use`), { code: 'EADDRINUSE' }) : undefined
      const queue = acceptQueue<Link>(() => { if (ports.get(port) === queue) ports.delete(port) })
      if (failure === undefined) ports.set(port, queue)
      else queue.fail(failure)
      return {
        async port () {
          if (failure !== undefined) throw failure
          return port
        },
        close: () => { queue.close() },
        [Symbol.asyncIterator]: () => queue.links()
      }
    }
  }
}

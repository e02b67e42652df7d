/** Multiplexed connections with both their ends in one test. */
import type { Test } from 'tap'
import { compactMux, linkMux, type CompactMuxInit, type LinkMux, type LinkMuxLimits, type MuxLink, type MuxFrames, type MuxLinkInit, type Opening } from '../../../src/transforms/link-mux/index.ts'
import { CompactDecoder } from '../../../src/transforms/link-mux/decode.ts'
import { CompactEncoder } from '../../../src/transforms/link-mux/encode.ts'
import { LinkClosedError } from '../../../src/errors.ts'
import { AsyncQueue } from '../../../src/streams/async-queue.ts'
import type { AcceptQueue } from '../../../src/transports/acceptor.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { listenOn } from '../../../src/transports/memory/network.ts'
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

/** Two ends of a connection of objects. */
export function objectPair<T> (): [Link<T>, Link<T>] {
  const ways = [new AsyncQueue<T>(), new AsyncQueue<T>()]
  const end = (from: number): Link<T> => ({
    source: ways[from],
    async sink (source) {
      for await (const batch of source) ways[1 - from].pushBatch(batch)
      ways[1 - from].end()
    },
    port: {
      send (batch) {
        ways[1 - from].pushBatch(batch)
        return batch.length
      },
      queued: 0,
      limit: 1
    },
    abort (err) {
      ways[from].fail(err)
      ways[1 - from].fail(new LinkClosedError('the other side has aborted'))
    }
  })
  return [end(0), end(1)]
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
    listen: ({ port }) => listenOn(ports, port)
  }
}

/** A frame in one line: `open 1 window 262144 shell`, `data 1 hello`. */
function told (say: (line: string) => void): MuxFrames<number, Uint8Array, Uint8Array> {
  const text = (bytes: Uint8Array | undefined): string => bytes === undefined ? '' : ` ${Buffer.from(bytes).toString()}`
  return {
    open: (id, request, window) => { say(`open ${id} window ${window ?? 0}${text(request)}`) },
    accept: (id, response, window) => { say(`accept ${id} window ${window ?? 0}${text(response)}`) },
    reject: (id, code, response) => { say(`reject ${id} code ${code}${text(response)}`) },
    data: (id, bytes) => { say(bytes.length > 40 ? `data ${id}, ${bytes.length} bytes` : `data ${id}${text(bytes)}`) },
    window: (id, bytes) => { say(`window ${id} ${bytes}`) },
    end: (id) => { say(`end ${id}`) },
    reset: (id, code) => { say(`reset ${id} code ${code}`) }
  }
}

/** The other side, frame by frame. */
export interface RawPeer {
  mux: BytesMux
  openings: BytesOpening[]
  /** Sends what `frames` encodes in one write. */
  send (frames: (encoder: CompactEncoder) => void): void
  /** The next frames that arrive, one line each. */
  next (count: number): Promise<string[]>
  /** Those that have arrived and were not taken. */
  readonly heard: string[]
  readonly link: Link
}

/** A multiplexer, as a server unless said otherwise, and the other side in the hands of the test. */
export function rawPeer (t: Test, { codec, lower = memoryPair(), onOpen, ...init }: MuxPairInit & { role?: 'client' | 'server' } = {}): RawPeer {
  const { role = 'server', ...limits } = init
  const [link, below] = lower
  const openings: BytesOpening[] = []
  const mux = linkMux({ ...limits, codec: compactMux({ ...codec, role }), onOpen: onOpen ?? ((opening) => { openings.push(opening) }) })(below)
  t.teardown(() => {
    mux.abort(new Error('the test is over'))
    link.abort(new Error('the test is over'))
  })
  const heard: string[] = []
  let wake = (): void => {}
  const frames = told((line) => {
    heard.push(line)
    wake()
  })
  const decoder = new CompactDecoder(codec?.maxData ?? 16_384)
  const reading = async (): Promise<void> => { for await (const batch of link.source) decoder.push(batch, frames) }
  reading().catch(() => {}).finally(() => {
    heard.push('the end')
    wake()
  })
  const encoder = new CompactEncoder()
  return {
    mux,
    openings,
    heard,
    link,
    send (encode) {
      encode(encoder)
      link.port.send(encoder.take())
    },
    async next (count) {
      while (heard.length < count) await new Promise<void>((resolve) => { wake = resolve })
      return heard.splice(0, count)
    }
  }
}

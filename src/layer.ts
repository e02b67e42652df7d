/**
 * Makes and joins layers.
 *
 * ```ts
 * const tunnel = stack(lengthPrefix(u32be), checksum('crc32'))
 * const messages = over(await dialTcp({ host, port }), tunnel)
 * ```
 */
import { release } from './buffers/buffer-pool.ts'
import type { AnyLink, Batch, Core, Layer, Link, PacketPort, Take, Transform } from './types.ts'

/** Applies a layer, or a stack of layers, to a link. */
export const over = <Lower extends AnyLink, Upper extends AnyLink>(link: Lower, layer: Layer<Lower, Upper>): Upper => layer(link)

/**
 * Makes an `it-pipe` stage of a core, with one await per batch.
 *
 * @throws what the core throws; its `failure`, after the elements before it
 */
export const transform = <A, B>(core: Core<A, B>): Transform<A, B> => async function * (source) {
  for await (const batch of source) {
    const out = core.push(batch)
    if (core.memory === 'copies') release(batch as Batch)
    if (out.length > 0) yield out
    if (core.failure !== undefined) throw core.failure
  }
  core.end?.()
}

/** The `drained` of a port over another one, where that has it. */
export const drainedOf = <T>(port: PacketPort<T>): PacketPort['drained'] => port.drained === undefined ? undefined : () => (port as Required<PacketPort<T>>).drained()

/** A port that encodes what it sends. A batch that the encoder rejects with a `code` is dropped; other errors are bugs and thrown. */
export const portOver = <L, U>(port: PacketPort<L>, encode: Core<U, L>): PacketPort<U> => ({
  send (batch) {
    if (port.queued >= port.limit) return 0 // not worth encoding
    let out
    try {
      out = encode.push(batch)
    } catch (err) {
      if ((err as { code?: string }).code === undefined) throw err
      return 0
    }
    if (out.length === 0 || port.send(out) > 0) return batch.length
    encode.undo?.()
    return 0
  },
  get queued () { return port.queued },
  get bufferedAmount () { return port.bufferedAmount },
  limit: port.limit,
  drained: drainedOf(port)
})

/**
 * Makes a layer of two independent cores. `make` is called once per link, so cores may hold state. `sink` and `port` share the encoder.
 * `flow` and `poolReads` exist where the lower link has them.
 *
 * @typeParam L elements below
 * @typeParam In incoming elements above
 * @typeParam Out outgoing elements above
 */
export const codec = <L, In, Out = In>(make: () => { decode: Core<L, In>, encode: Core<Out, L> }): Layer<Link<L>, Link<In, Out>> => (lower) => {
  const { decode, encode } = make()
  let source: Link<In, Out>['source'] | undefined
  let port: PacketPort<Out> | undefined
  return { // source and port are made when they are used: most links have only one way of reading and of writing
    get source () {
      source ??= transform(decode)(lower.source)
      return source
    },
    sink: (source) => lower.sink(transform(encode)(source)),
    get port () {
      port ??= portOver(lower.port, encode)
      return port
    },
    abort: (err) => { lower.abort(err) },
    flow: lower.flow === undefined ? undefined : (take, signal) => flowThrough(lower, decode, take, signal),
    poolReads: lower.poolReads === undefined ? undefined : (simd) => { if (decode.memory !== undefined) lower.poolReads?.(simd) }
  }
}

/** `flow` of the lower link, decoded. */
async function flowThrough<L, In> (lower: Link<L>, decode: Core<L, In>, take: Take<In>, signal: AbortSignal | undefined): Promise<void> {
  await lower.flow?.((batch) => {
    const out = decode.push(decode.memory === undefined ? copied(batch) : batch)
    const busy = out.length > 0 ? take(out) : undefined
    const { failure } = decode
    if (failure === undefined) return busy
    if (busy === undefined) throw failure
    return busy.then(() => { throw failure })
  }, signal)
  if (signal?.aborted !== true) decode.end?.()
}

/** Copies pooled memory, for a core that may keep some of it. */
const copied = <L>(batch: Batch<L>): Batch<L> => batch.map((item) => item instanceof Uint8Array ? Uint8Array.from(item) as L : item)

/** Joins layers, from the lowest to the highest. */
export function stack<A extends AnyLink, B extends AnyLink> (a: Layer<A, B>): Layer<A, B>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>): Layer<A, C>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink, D extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>): Layer<A, D>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink, D extends AnyLink, E extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>, d: Layer<D, E>): Layer<A, E>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink, D extends AnyLink, E extends AnyLink, F extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>, d: Layer<D, E>, e: Layer<E, F>): Layer<A, F>
export function stack (...layers: Array<Layer<never, AnyLink>>): Layer<never, AnyLink> {
  return (lower) => layers.reduce<AnyLink>((link, layer) => layer(link as never), lower)
}

/**
 * How layers are made and joined.
 *
 * ```ts
 * const tunnel = stack(lengthPrefix(u32be), checksum('crc32'))
 * const messages = over(await dialTcp({ host, port }), tunnel)
 * ```
 */
import { release } from './buffers/buffer-pool.ts'
import type { AnyLink, Batch, Core, Layer, Link, PacketPort, Take, Transform } from './types.ts'

/** Applies a layer, or a stack of them, to one link. */
export const over = <Lower extends AnyLink, Upper extends AnyLink>(link: Lower, layer: Layer<Lower, Upper>): Upper => layer(link)

/** Lifts a synchronous core into a stage for `it-pipe`: one await a batch, none an element. Throws what the core throws, and its `failure` behind what was good. */
export const transform = <A, B>(core: Core<A, B>): Transform<A, B> => async function * (source) {
  for await (const batch of source) {
    const out = core.push(batch)
    if (core.memory === 'copies') release(batch as Batch)
    if (out.length > 0) yield out
    if (core.failure !== undefined) throw core.failure
  }
  core.end?.()
}

/** For a port over another one: its `drained`, if it has that. */
export const drainedOf = <T>(port: PacketPort<T>): PacketPort['drained'] => port.drained === undefined ? undefined : () => (port as Required<PacketPort<T>>).drained()

/** A port whose packets go through an encoder first. A batch that it refuses with a `code` is dropped; other errors are bugs and thrown. */
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
    return out.length === 0 || port.send(out) > 0 ? batch.length : 0
  },
  get queued () { return port.queued },
  get bufferedAmount () { return port.bufferedAmount },
  limit: port.limit,
  drained: drainedOf(port)
})

/**
 * Lifts two cores without cross-talk into a layer. `make` is called once a link, so that the cores may hold state.
 * Both ways out, `sink` and `port`, use the one encoder. What the lower link offers of `flow` and `poolReads`, this one offers as well.
 *
 * @typeParam L what flows below
 * @typeParam In what arrives above
 * @typeParam Out what is sent above
 */
export const codec = <L, In, Out = In>(make: () => { decode: Core<L, In>, encode: Core<Out, L> }): Layer<Link<L>, Link<In, Out>> => (lower) => {
  const { decode, encode } = make()
  return {
    source: transform(decode)(lower.source),
    sink: (source) => lower.sink(transform(encode)(source)),
    port: portOver(lower.port, encode),
    abort: (err) => { lower.abort(err) },
    flow: lower.flow === undefined ? undefined : (take, signal) => flowThrough(lower, decode, take, signal),
    poolReads: lower.poolReads === undefined ? undefined : (simd) => { if (decode.memory !== undefined) lower.poolReads?.(simd) }
  }
}

/** What `flow` of the lower link brings, decoded. */
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

/** Lent memory, for a core that may keep some of it. */
const copied = <L>(batch: Batch<L>): Batch<L> => batch.map((item) => item instanceof Uint8Array ? Uint8Array.from(item) as L : item)

/** Joins layers, the lowest first. */
export function stack<A extends AnyLink, B extends AnyLink> (a: Layer<A, B>): Layer<A, B>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>): Layer<A, C>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink, D extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>): Layer<A, D>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink, D extends AnyLink, E extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>, d: Layer<D, E>): Layer<A, E>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink, D extends AnyLink, E extends AnyLink, F extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>, d: Layer<D, E>, e: Layer<E, F>): Layer<A, F>
export function stack (...layers: Array<Layer<never, AnyLink>>): Layer<never, AnyLink> {
  return (lower) => layers.reduce<AnyLink>((link, layer) => layer(link as never), lower)
}

/**
 * How layers are made and joined.
 *
 * ```ts
 * const tunnel = stack(lengthPrefix(u32be), checksum('crc32'))
 * const messages = over(await dialTcp({ host, port }), tunnel)
 * ```
 */
import type { Batch, Core, Layer, Link, PacketPort, Transform } from './types.ts'

/** Applies a layer, or a stack of them, to one link. */
export const over = <L, U, Upper extends Link<U>>(link: Link<L>, layer: Layer<L, U, Upper>): Upper => layer(link)

/** Lifts a synchronous core into a stage for `it-pipe`: one await a batch, none an element. Throws what the core throws, and its `failure` behind what was good. */
export const transform = <A, B>(core: Core<A, B>): Transform<A, B> => async function * (source) {
  for await (const batch of source) {
    const out = core.push(batch)
    if (out.length > 0) yield out
    if (core.failure !== undefined) throw core.failure
  }
  core.end?.()
}

/** What `flow` of a link does where there is only a source to read. */
export async function flowOf<T> (source: AsyncIterable<Batch<T>>, take: (batch: Batch<T>) => Promise<void> | void): Promise<void> {
  for await (const batch of source) {
    const busy = take(batch)
    if (busy !== undefined) await busy
  }
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
  get backlog () { return port.backlog },
  limit: port.limit,
  drained: drainedOf(port)
})

/**
 * Lifts two cores without cross-talk into a layer. `make` is called once a link, so that the cores may hold state.
 * Both ways out, `sink` and `port`, use the one encoder.
 */
export const codec = <L, U>(make: () => { decode: Core<L, U>, encode: Core<U, L> }): Layer<L, U> => (lower) => {
  const { decode, encode } = make()
  return {
    source: transform(decode)(lower.source),
    sink: (source) => lower.sink(transform(encode)(source)),
    port: portOver(lower.port, encode),
    abort: (err) => { lower.abort(err) }
  }
}

/** Joins layers, the lowest first. */
export function stack<A, B, Upper extends Link<B>> (a: Layer<A, B, Upper>): Layer<A, B, Upper>
export function stack<A, B, C, Upper extends Link<C>> (a: Layer<A, B>, b: Layer<B, C, Upper>): Layer<A, C, Upper>
export function stack<A, B, C, D, Upper extends Link<D>> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D, Upper>): Layer<A, D, Upper>
export function stack<A, B, C, D, E, Upper extends Link<E>> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>, d: Layer<D, E, Upper>): Layer<A, E, Upper>
export function stack<A, B, C, D, E, F, Upper extends Link<F>> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>, d: Layer<D, E>, e: Layer<E, F, Upper>): Layer<A, F, Upper>
export function stack (...layers: Array<(lower: any) => any>): (lower: any) => any {
  return (lower) => layers.reduce((link, layer) => layer(link), lower)
}

/**
 * Makes and joins layers.
 *
 * ```ts
 * const tunnel = stack(lengthPrefix(u32be), checksum('crc32'))
 * const messages = over(await dialTcp({ host, port }), tunnel)
 * ```
 */
import { CoreChain } from './core-chain.ts'
import { TransformedSource } from './transformed-source.ts'
import type { AnyLink, Batch, Core, Layer, Link, PacketPort, Take, Transform } from './types.ts'

/** Applies a layer, or a stack of layers, to a link. */
export const over = <Lower extends AnyLink, Upper extends AnyLink>(link: Lower, layer: Layer<Lower, Upper>): Upper => layer(link)

/**
 * Makes an `it-pipe` stage of a core, with one await per batch.
 *
 * @throws what the core throws; its `failure`, after the elements before it
 */
export const transform = <A, B>(core: Core<A, B>): Transform<A, B> => (source) => new TransformedSource(core, source)

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

/** Both directions of a {@link codec}. */
export interface CodecCores<L, In, Out = In> {
  decode: Core<L, In>
  encode: Core<Out, L>
}

/** Of a layer that is a codec: how its cores are made. A property and not a table, as some layers are made for each connection. */
const MAKE = Symbol('make')

interface MadeOfCores { [MAKE]?: () => CodecCores<unknown, unknown> }

/** A class and not a literal with functions: servers have one per connection. Source and port are made when they are used, as most links have only one way of reading and of writing. */
class CodecLink<L, In, Out> implements Link<In, Out> {
  readonly flow: Link<In, Out>['flow']
  readonly poolReads: Link['poolReads']
  readonly #lower: Link<L>
  readonly #cores: CodecCores<L, In, Out>
  #source: Link<In, Out>['source'] | undefined
  #port: PacketPort<Out> | undefined

  constructor (lower: Link<L>, cores: CodecCores<L, In, Out>) {
    this.#lower = lower
    this.#cores = cores
    const { decode } = cores
    this.flow = lower.flow === undefined ? undefined : (take, signal) => flowThrough(lower, decode, take, signal)
    this.poolReads = lower.poolReads === undefined ? undefined : (simd) => { if (decode.memory !== undefined) lower.poolReads?.(simd) }
  }

  get source (): Link<In, Out>['source'] { return (this.#source ??= transform(this.#cores.decode)(this.#lower.source)) }

  get sink (): Link<In, Out>['sink'] { return (source) => this.#lower.sink(transform(this.#cores.encode)(source)) }

  get port (): PacketPort<Out> { return (this.#port ??= portOver(this.#lower.port, this.#cores.encode)) }

  abort (err: Error): void { this.#lower.abort(err) }
}

/**
 * Makes a layer of two independent cores. `make` is called once per link, so cores may hold state. `sink` and `port` share the encoder.
 * `flow` and `poolReads` exist where the lower link has them.
 *
 * @typeParam L elements below
 * @typeParam In incoming elements above
 * @typeParam Out outgoing elements above
 */
export function codec<L, In, Out = In> (make: () => CodecCores<L, In, Out>): Layer<Link<L>, Link<In, Out>> {
  const layer: Layer<Link<L>, Link<In, Out>> & MadeOfCores = (lower) => new CodecLink(lower, make())
  layer[MAKE] = make as MadeOfCores[typeof MAKE]
  return layer
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

/** Joins layers, from the lowest to the highest. Codecs beside each other become one. */
export function stack<A extends AnyLink, B extends AnyLink> (a: Layer<A, B>): Layer<A, B>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>): Layer<A, C>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink, D extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>): Layer<A, D>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink, D extends AnyLink, E extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>, d: Layer<D, E>): Layer<A, E>
export function stack<A extends AnyLink, B extends AnyLink, C extends AnyLink, D extends AnyLink, E extends AnyLink, F extends AnyLink> (a: Layer<A, B>, b: Layer<B, C>, c: Layer<C, D>, d: Layer<D, E>, e: Layer<E, F>): Layer<A, F>
export function stack (...layers: Array<Layer<never, AnyLink>>): Layer<never, AnyLink> {
  const joined = withoutNeighbours(layers)
  return joined.length === 1 ? joined[0] : (lower) => joined.reduce<AnyLink>((link, layer) => layer(link as never), lower)
}

/** Makes one layer of codecs beside each other, which pass a batch on without a promise. */
function withoutNeighbours (layers: ReadonlyArray<Layer<never, AnyLink>>): Array<Layer<never, AnyLink>> {
  const joined: Array<Layer<never, AnyLink>> = []
  for (const layer of layers) {
    const below = (joined[joined.length - 1] as MadeOfCores | undefined)?.[MAKE]
    const above = (layer as MadeOfCores)[MAKE]
    if (below === undefined || above === undefined) joined.push(layer)
    else joined[joined.length - 1] = codec(() => chained(below(), above()))
  }
  return joined
}

const chained = (below: CodecCores<unknown, unknown>, above: CodecCores<unknown, unknown>): CodecCores<unknown, unknown> =>
  ({ decode: new CoreChain([below.decode, above.decode]), encode: new CoreChain([above.encode, below.encode]) })

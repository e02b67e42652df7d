/**
 * The layer that records what passes at its place in a stack, without a change.
 *
 * ```ts
 * const tunnel = stack(capture(recorder), lengthPrefix(u16be), capture(recorder, { interface: 1 })) // bytes below, messages above
 * ```
 */
import { OptionError } from '../../errors.ts'
import { iterate } from '../../streams/abortable-source.ts'
import { drainedOf } from '../../layer.ts'
import { wrapLink } from '../../streams/wrap-link.ts'
import type { Batch, Link, PacketPort } from '../../types.ts'
import type { CaptureDirection } from './blocks.ts'
import type { CaptureRecorder } from './recorder.ts'

export interface CaptureLayerInit {
  /** Place in `interfaces` of the recorder. Default: 0. */
  interface?: number
}

/** A layer for any link of bytes, which hands up a link of the same kind: a `WebSocketLink` stays one. `over` and `stack` know it as a `Link`. */
export interface CaptureLayer {
  <L extends Link>(lower: L): L
  (lower: Link): Link // `stack` learns its types from the last signature
}

/** Hands on what a source brings, once it is recorded. An iterator and not a generator: there is nothing between the two when the capture is over. */
class RecordedSource implements AsyncIterableIterator<Batch> {
  readonly #recorder: CaptureRecorder
  readonly #source: AsyncIterable<Batch>
  readonly #see: (result: IteratorResult<Batch>) => IteratorResult<Batch>
  /** Made at the first pull, and the same for every reader, as the source may be read on by another one. */
  #inner: AsyncIterator<Batch> | undefined

  constructor (recorder: CaptureRecorder, source: AsyncIterable<Batch>, direction: CaptureDirection, interfaceId: number) {
    this.#recorder = recorder
    this.#source = source
    this.#see = (result) => {
      if (result.done !== true) recorder.record(result.value, direction, interfaceId)
      return result
    }
  }

  next (): Promise<IteratorResult<Batch>> {
    const read = this.#iterator().next()
    return this.#recorder.over ? read : read.then(this.#see)
  }

  async return (): Promise<IteratorResult<Batch>> {
    await this.#iterator().return?.()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator] (): this { return this }

  #iterator (): AsyncIterator<Batch> { return (this.#inner ??= iterate(this.#source)) }
}

/** Records what the port below has taken. */
class RecordedPort implements PacketPort {
  readonly limit: number
  readonly drained: PacketPort['drained']
  readonly #recorder: CaptureRecorder
  readonly #port: PacketPort
  readonly #interfaceId: number

  constructor (recorder: CaptureRecorder, port: PacketPort, interfaceId: number) {
    this.limit = port.limit
    this.drained = drainedOf(port)
    this.#recorder = recorder
    this.#port = port
    this.#interfaceId = interfaceId
  }

  get queued (): number { return this.#port.queued }

  get bufferedAmount (): number | undefined { return this.#port.bufferedAmount }

  send (batch: Batch): number {
    const taken = this.#port.send(batch)
    if (taken > 0) this.#recorder.record(batch, 'out', this.#interfaceId)
    return taken
  }
}

function recorded<L extends Link> (lower: L, recorder: CaptureRecorder, interfaceId: number): L {
  const flow: Link['flow'] = lower.flow === undefined
    ? undefined
    : (take, signal) => (lower as Required<Link>).flow((batch) => {
        recorder.record(batch, 'in', interfaceId)
        return take(batch)
      }, signal)
  return wrapLink<Link>(lower, {
    source: new RecordedSource(recorder, lower.source, 'in', interfaceId),
    sink: (source) => lower.sink(new RecordedSource(recorder, source, 'out', interfaceId)),
    port: new RecordedPort(recorder, lower.port, interfaceId),
    flow
  }) as L
}

/**
 * The layer: what `source` or `flow` brings is recorded as `in`; what `sink` pulls and what `port` has taken, as `out`. Packets that the
 * port refuses are not recorded.
 *
 * It costs one copy of what passes, and a call for each batch. Once the capture is over it records nothing, and links that
 * come then are handed up as they are. `ERR_OPTION` when the recorder has no such interface.
 */
export function capture (recorder: CaptureRecorder, { interface: interfaceId = 0 }: CaptureLayerInit = {}): CaptureLayer {
  if (recorder.interfaces[interfaceId] === undefined) throw new OptionError(`interface is 0 to ${recorder.interfaces.length - 1} with this recorder, not ${interfaceId}`)
  return <L extends Link>(lower: L): L => recorder.over ? lower : recorded(lower, recorder, interfaceId)
}

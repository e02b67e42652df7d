/**
 * A layer that records the traffic at its position in a stack, unchanged.
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

/** Options of {@link capture}. */
export interface CaptureLayerInit {
  /** Index into `interfaces` of the recorder. Default: 0. */
  interface?: number
}

/** A layer for any link of bytes that keeps its type: a `WebSocketLink` stays one. `over` and `stack` treat it as a `Link`. */
export interface CaptureLayer {
  <L extends Link>(lower: L): L
  (lower: Link): Link // `stack` infers its types from the last signature
}

/** Yields the batches of a source, and records them. Not a generator: once the capture has ended, reads go straight to the source. */
class RecordedSource implements AsyncIterableIterator<Batch> {
  readonly #recorder: CaptureRecorder
  readonly #source: AsyncIterable<Batch>
  readonly #record: (result: IteratorResult<Batch>) => IteratorResult<Batch>
  /** Created at the first pull, and shared by all readers, as another one may continue. */
  #inner: AsyncIterator<Batch> | undefined

  constructor (recorder: CaptureRecorder, source: AsyncIterable<Batch>, direction: CaptureDirection, interfaceId: number) {
    this.#recorder = recorder
    this.#source = source
    this.#record = (result) => {
      if (result.done !== true) recorder.record(result.value, direction, interfaceId)
      return result
    }
  }

  next (): Promise<IteratorResult<Batch>> {
    const read = this.#iterator().next()
    return this.#recorder.over ? read : read.then(this.#record)
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
 * The layer: batches of `source` or `flow` are recorded as `in`, those that `sink` pulls and `port` has taken as `out`. Packets that the
 * port drops are not recorded.
 *
 * It costs one copy of the traffic, and a call per batch. Once the capture has ended nothing is recorded, and new links are returned
 * unchanged.
 *
 * @throws {OptionError} when the recorder has no such interface
 */
export function capture (recorder: CaptureRecorder, { interface: interfaceId = 0 }: CaptureLayerInit = {}): CaptureLayer {
  if (recorder.interfaces[interfaceId] === undefined) throw new OptionError(`interface is 0 to ${recorder.interfaces.length - 1} with this recorder, not ${interfaceId}`)
  return <L extends Link>(lower: L): L => recorder.over ? lower : recorded(lower, recorder, interfaceId)
}

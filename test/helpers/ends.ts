/** Links with both their ends in one test, sources that idle, and waiting for what has no event of its own. */
import type { Test } from 'tap'
import { AsyncQueue } from '../../src/streams/async-queue.ts'
import type { Batch, Link, Listener, Transport } from '../../src/types.ts'

export const bytes = (size: number, fill = 0): Uint8Array => new Uint8Array(size).fill(fill)

export async function * batches (...all: Batch[]): AsyncGenerator<Batch> { yield * all }

export async function * nothing (): AsyncGenerator<Batch> {}

export const texts = (...all: string[]): Batch => all.map((text) => Buffer.from(text))

/** Everything that a source brings, copied. */
export async function hear (source: AsyncIterable<Batch>): Promise<Buffer[]> {
  const all: Buffer[] = []
  for await (const batch of source) all.push(...batch.map((element) => Buffer.from(element)))
  return all
}

export const hearText = async (source: AsyncIterable<Batch>): Promise<string> => Buffer.concat(await hear(source)).toString()

/** Reads until the end, whatever the end is; resolves with the error, if there was one. */
export async function drain (source: AsyncIterable<Batch>): Promise<Error | undefined> {
  try {
    for await (const batch of source) void batch
    return undefined
  } catch (err) {
    return err as Error
  }
}

/** The next element of a source that goes on afterwards. */
export async function first (source: AsyncIterable<Batch>): Promise<Buffer> {
  const { done, value } = await source[Symbol.asyncIterator]().next()
  if (done === true) throw new Error('the source has ended')
  return Buffer.from(value[0])
}

export interface Idle {
  source: AsyncQueue
  /** Settles once its reader has left early. */
  returned: Promise<void>
}

/** A source that brings nothing and does not end. */
export function idle (): Idle {
  let onReturn: () => void = () => {}
  const returned = new Promise<void>((resolve) => { onReturn = resolve })
  return { source: new AsyncQueue({ onReturn: () => { onReturn() } }), returned }
}

/** Resolves with what a promise rejects with. */
export const failureOf = async (promise: Promise<unknown>): Promise<Error & { code?: string }> => {
  try {
    await promise
  } catch (err) {
    return err as Error
  }
  throw new Error('expected a rejection')
}

/** One turn of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })

/** Waits for something that raises no event; the test's own timeout is its limit. */
export async function until (condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

/** Waits until `progress` has stood still for many turns of the event loop. */
export async function standstill (progress: () => number): Promise<void> {
  let last = -1
  for (let quiet = 0; quiet < 200; quiet++) {
    if (progress() !== last) quiet = 0
    last = progress()
    await turn()
  }
}

/** Something goes each way between the two ends of a connection; throws when something else arrives. */
export async function talk (client: Link, server: Link): Promise<void> {
  client.port.send(texts('hello'))
  if ((await first(server.source)).toString() !== 'hello') throw new Error('not what was said')
  server.port.send(texts('welcome'))
  if ((await first(client.source)).toString() !== 'welcome') throw new Error('not what was answered')
}

export interface Ends<L extends Link = Link> {
  listener: Listener<L>
  port: number
  incoming: AsyncIterator<L>
  client: Link
  server: L
}

/** A listener on a free port of the loopback, closed with the test. */
export async function listening<L extends Link> (t: Test, listen: (at: { host: string, port: number }) => Listener<L>): Promise<{ listener: Listener<L>, port: number, incoming: AsyncIterator<L> }> {
  const listener = listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => { listener.close() })
  return { listener, port: await listener.port(), incoming: listener[Symbol.asyncIterator]() }
}

export async function accept<L extends Link> (t: Test, incoming: AsyncIterator<L>): Promise<L> {
  const { done, value } = await incoming.next()
  if (done === true) throw new Error('the listener has ended')
  endsWith(t, value)
  return value
}

/** Aborts a link when the test is over. */
export function endsWith<L extends Link> (t: Test, link: L): L {
  t.teardown(() => { link.abort(new Error('the test is over')) })
  return link
}

/** One link, both its ends. */
export async function open (t: Test, { dial, listen }: Transport): Promise<Ends> {
  const { listener, port, incoming } = await listening(t, listen)
  const client = endsWith(t, await dial({ host: '127.0.0.1', port }))
  return { listener, port, incoming, client, server: await accept(t, incoming) }
}

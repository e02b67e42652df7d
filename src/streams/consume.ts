/** Reads a link by a function that is called with what comes. */
import { AbortableSource, takeUnread } from './abortable-source.ts'
import type { Batch, Link, Take } from '../types.ts'

/**
 * Reads with the link's own `flow` where it has one, else by a loop over `source`.
 *
 * @param take is called with each batch, and may use its memory until it has returned, or its promise has settled
 * @param signal ends the reading; what has not been taken is there for the next reader, of a link without `flow` for the next `consume`
 * @throws what broke the link, and what `take` throws
 */
export function consume<T> (link: Pick<Link<T, never>, 'source' | 'flow'>, take: Take<T>, signal?: AbortSignal): Promise<void> {
  return link.flow === undefined ? consumeSource(link.source, take, signal) : link.flow(take, signal)
}

/** What `flow` does where there is only a source. */
export async function consumeSource<T> (source: AsyncIterable<Batch<T>>, take: Take<T>, signal?: AbortSignal): Promise<void> {
  if (signal === undefined) {
    const iterator = source[Symbol.asyncIterator]()
    const read = await takeUnread(iterator)
    if (read?.done === true) return
    if (read !== undefined) await take(read.value)
    await consumeAll({ [Symbol.asyncIterator]: () => iterator }, take)
    return
  }
  const reading = new AbortableSource(source, { keep: true })
  const leave = (): void => { reading.abort() }
  if (signal.aborted) leave()
  else signal.addEventListener('abort', leave, { once: true })
  try {
    await consumeAll(reading, take)
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

async function consumeAll<T> (source: AsyncIterable<Batch<T>>, take: Take<T>): Promise<void> {
  for await (const batch of source) {
    const busy = take(batch)
    if (busy !== undefined) await busy
  }
}

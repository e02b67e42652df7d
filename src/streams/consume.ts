/** Reads a link by calling a function with each batch. */
import { AbortableSource, takeUnread } from './abortable-source.ts'
import type { Batch, Link, Take } from '../types.ts'

/**
 * Reads with `flow` of the link where it has one, else by a loop over `source`.
 *
 * @param take called with each batch; may use its memory until it has returned, or its promise has settled
 * @param signal ends the reading; unread data stays for the next reader, of a link without `flow` for the next `consume`
 * @throws the error that broke the link, and errors of `take`
 */
export function consume<T> (link: Pick<Link<T, never>, 'source' | 'flow'>, take: Take<T>, signal?: AbortSignal): Promise<void> {
  return link.flow === undefined ? consumeSource(link.source, take, signal) : link.flow(take, signal)
}

/** `flow` for a link that has only a source. */
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

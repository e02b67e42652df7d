/** A link whose first batches somebody has read already. */
import type { Batch, Link } from '../types.ts'
import { wrapLink } from './wrap-link.ts'

/**
 * The same link, for its next reader.
 *
 * @param iterator of its source
 * @param behind the rest of the last batch
 */
export const resumed = (link: Link, iterator: AsyncIterator<Batch>, behind: Batch): Link =>
  wrapLink(link, { source: sourceOf(iterator, behind), flow: undefined })

/** The rest of a batch, then the iterator itself: no stage in between that would cost a promise per read. */
function sourceOf (iterator: AsyncIterator<Batch>, behind: Batch): AsyncIterable<Batch> {
  let isFirst = behind.length > 0
  const source: AsyncIterableIterator<Batch> = {
    next () {
      if (!isFirst) return iterator.next()
      isFirst = false
      return Promise.resolve({ done: false, value: behind })
    },
    async return () {
      isFirst = false
      await iterator.return?.()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => source
  }
  return source
}

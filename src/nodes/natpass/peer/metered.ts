import { meter } from '../../../streams/meter.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'
import type { Link } from '../../../types.ts'

/** The same link; what is read from it and written to it is counted. */
export function metered (link: Link, counted: { bytesIn: number, bytesOut: number }): Link {
  const read = meter((bytes) => { counted.bytesIn += bytes })
  const write = meter((bytes) => { counted.bytesOut += bytes })
  return wrapLink(link, { source: read(link.source), flow: undefined, sink: (source) => link.sink(write(source)) })
}

/** A socket whose data messages are taken out of each read, before the pipeline of all others. */
import { consume } from '../../../streams/consume.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'
import type { Batch, Datagram, DatagramSocket, Take } from '../../../types.ts'
import { isOfData } from '../protocol/data-fields.ts'

/**
 * @param take gets a data message of a read, and says whether that was all; else it goes on with the others
 * @param end is called at the end of each read with one
 */
export function withoutData (socket: DatagramSocket, take: (datagram: Datagram) => boolean, end: () => void): DatagramSocket {
  const read = (batch: Batch<Datagram>): Batch<Datagram> => {
    let hasData = false
    let rest: Batch<Datagram> | undefined
    for (let i = 0; i < batch.length; i++) {
      const datagram = batch[i]
      if (isOfData(datagram.data)) {
        if (!hasData) rest = batch.slice(0, i)
        hasData = true
        if (take(datagram)) continue
      }
      rest?.push(datagram)
    }
    if (hasData) end()
    return rest ?? batch
  }
  return wrapLink(socket, {
    flow: (each: Take<Datagram>, signal) => consume<Datagram>(socket, (batch) => {
      const rest = read(batch)
      return rest.length > 0 ? each(rest) : undefined
    }, signal)
  })
}

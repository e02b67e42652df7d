/** Datagrams between UDP and a virtual link, each of them one message (natpass protocol, section 6.5). */
import { MAX_DATAGRAM } from '../protocol/link-codec.ts'
import { LinkClosedError } from '../../../errors.ts'
import { consume } from '../../../streams/consume.ts'
import type { MuxLink } from '../../../transforms/link-mux/index.ts'
import { newUdpErrors } from '../../../transports/udp/errors.ts'
import type { UdpLink } from '../../../transports/udp/flow.ts'
import { MAX_DATAGRAM as MAX_UDP } from '../../../transports/udp/socket.ts'
import type { Batch, Clock } from '../../../types.ts'

/** Milliseconds without a datagram in either direction until a link ends. */
export const IDLE_TIMEOUT = 60_000

/** Milliseconds that a source does not ask again for, after its link was not opened. */
const REFUSED_PAUSE = 1000

/**
 * Why a datagram was lost: `size`, no message holds it, or UDP does not; `credit`, the other end is not ready for more; `queue`, too many
 * wait; `refused`, its link was not opened; `sources`, a rule has too many of them; `unreachable`, nobody is there, as ICMP says; `system`,
 * another error of the system.
 */
export type DatagramLoss = 'size' | 'credit' | 'queue' | 'refused' | 'sources' | 'unreachable' | 'system'

/** What all links of a peer have lost. */
export class LostDatagrams {
  size = 0
  credit = 0
  queue = 0
  refused = 0
  /** Of all sockets. */
  readonly errors = newUdpErrors()

  /** @param sources - see {@link DatagramLoss} */
  counts (sources: number): Record<DatagramLoss, number> {
    const { size, credit, queue, refused, errors: { unreachable, tooLarge, noRoom, other } } = this
    return { size, credit, queue, refused, sources, unreachable, system: tooLarge + noRoom + other }
  }
}

/** Passes datagrams on in both directions until either side ends, then ends the other one. */
export async function exchange (udp: UdpLink, link: MuxLink, lost: LostDatagrams): Promise<void> {
  let reason: Error = new LinkClosedError('the link is over')
  try {
    await Promise.race([
      consume(udp, (batch) => { sendToLink(batch, link, lost) }),
      consume(link, (batch) => { sendToUdp(batch, udp, lost) })
    ])
  } catch (err) {
    reason = err as Error
  }
  udp.abort(reason)
  link.abort(reason)
  lost.queue += udp.dropped + link.dropped
}

/** Loses what a source sends in the second after its link was not opened, so that not each datagram asks again. */
export async function discard (udp: UdpLink, lost: LostDatagrams, clock: Clock): Promise<void> {
  const over = new AbortController()
  const timer = clock.set(REFUSED_PAUSE, () => { over.abort() })
  await consume(udp, (batch) => { lost.refused += batch.length }, over.signal).finally(() => { clock.clear(timer) })
  lost.queue += udp.dropped
}

/** Datagrams do not wait for credit. */
function sendToLink (batch: Batch, link: MuxLink, lost: LostDatagrams): void {
  let credit = link.credit
  const fitting = batch.filter(({ length }) => {
    if (length > MAX_DATAGRAM) lost.size++
    else if (length > credit) lost.credit++
    else {
      credit -= length
      return true
    }
    return false
  })
  lost.queue += fitting.length - link.port.send(fitting)
}

function sendToUdp (batch: Batch, udp: UdpLink, lost: LostDatagrams): void {
  const fitting = batch.filter(({ length }) => length <= MAX_UDP.ipv4)
  lost.size += batch.length - fitting.length
  lost.queue += fitting.length - udp.port.send(fitting)
}

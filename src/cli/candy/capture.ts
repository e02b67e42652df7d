/** Captures of candy traffic over the control socket: IPv4 packets on one interface, all other messages on another. */
import { FORWARD_PACKET, stripOuter } from '../../nodes/candy/protocol/forward.ts'
import { MessageType, MIN_LENGTH } from '../../nodes/candy/protocol/messages.ts'
import type { CaptureDirection, CaptureInterface, CaptureRecorder } from '../../transforms/capture/index.ts'
import type { Batch } from '../../types.ts'

/** A peer records only packets. */
export const CAPTURE_INTERFACES: readonly CaptureInterface[] = [{ linkType: 'raw', name: 'packets' }, { linkType: 'user0', name: 'candy' }]

/** Those by number. */
const PACKETS = 0
const MESSAGES = 1

/** Records messages of the protocol; of FORWARD only the packet, without the outer header of a route. */
export function recordMessages (recorder: CaptureRecorder, messages: Batch, direction: CaptureDirection): void {
  const packets: Batch = []
  const others: Batch = []
  for (const message of messages) {
    const isForward = message[0] === MessageType.FORWARD && message.length >= MIN_LENGTH.FORWARD
    const packet = isForward ? stripOuter(message.subarray(FORWARD_PACKET)) : undefined
    if (packet === undefined) others.push(message)
    else packets.push(packet)
  }
  recorder.record(packets, direction, PACKETS)
  recorder.record(others, direction, MESSAGES)
}

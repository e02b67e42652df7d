/** Captures of candy traffic over the control socket: IPv4 packets on one interface, all other messages on another. */
import type { Socket } from 'node:net'
import type { Answer, Request } from '../control/server.ts'
import { FORWARD_PACKET, stripOuter } from '../../nodes/candy/protocol/forward.ts'
import { MessageType, MIN_LENGTH } from '../../nodes/candy/protocol/messages.ts'
import { captureStream, verifyCapture, type CaptureDirection, type CaptureRecorder } from '../../transforms/capture/index.ts'
import type { Batch } from '../../types.ts'

/** The interfaces of a capture, by number. A peer records only packets. */
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

/**
 * Streams a capture to the requester, until that side closes the socket or the capture is full.
 *
 * @param attach starts recording; the function that it returns stops it
 * @throws {OptionError} when `maxBytes` is invalid
 */
export function streamCapture ({ maxBytes }: Request, socket: Socket, attach: (recorder: CaptureRecorder) => () => void): Answer {
  const init = {
    interfaces: [{ linkType: 'raw', name: 'packets' }, { linkType: 'user0', name: 'candy' }],
    maxBytes: maxBytes as number | undefined
  } as const
  verifyCapture(init)
  return {
    body: { capturing: true },
    async follow () {
      const { recorder, finished } = captureStream(socket, init)
      const detach = attach(recorder)
      socket.once('end', () => { recorder.end() }).resume()
      await finished
      detach()
    }
  }
}

/** The two ends of the network that is warmed up, and what goes from one to the other and back. */
import { HEADER_LENGTH, parseAddress, protocolOf, protocols, writeHeader, writeU16 } from '../../../net/ipv4.ts'
import { addWords, fold } from '../../../net/checksum.ts'
import { newPacket, type Tun } from '../../../tun/device.ts'
import { Gso, VIRTIO_HEADER } from '../../../tun/offload/virtio.ts'
import { SocketTun } from '../../../tun/socket-tun.ts'
import { userspaceTun } from '../../../tun/userspace.ts'

/** Addresses for measurements of networks (RFC 2544, appendix C.2.2). Nothing of the system gets them. */
export const ADDRESSES = ['198.18.0.1', '198.18.0.2'] as const

export interface Ends {
  readonly tuns: readonly [Tun, Tun]
  /** Sends something from the first one to the second one; settles when the answer has arrived. */
  round (): Promise<void>
  close (): Promise<void>
}

/** Ends without the code of an interface of the system: enough for a relay. */
export function userspaceEnds (): Ends {
  const tuns = [userspaceTun(), userspaceTun()] as const
  let rounds = 0
  return {
    tuns,
    async round () {
      const round = rounds++
      const ping = (i: number): Promise<unknown> => tuns[0].ping(ADDRESSES[1], { size: SIZES[i % SIZES.length] })
      await (round % PAIR_EVERY === 0 ? Promise.all([ping(round), ping(round + 1)]) : ping(round))
    },
    async close () { await Promise.all(tuns.map((tun) => tun.close())) }
  }
}

const TCP_HEADER = 20
const SEGMENT = 1360
/** Segments of one large packet. */
const SEGMENTS = 4
/** One round of so many sends a large packet, the others a ping: both have to be fast. */
const LARGE_EVERY = 8

/** Bytes of the payloads of pings, in turn: masks and checksums have code for what is left of whole words. */
const SIZES = [64, 61, 1190] as const

/** One round of so many sends two at once, as others would not wait for each other. */
const PAIR_EVERY = 3

/**
 * Ends like an interface of the system.
 *
 * @throws an error of the system, or without koffi
 */
export async function socketEnds (): Promise<Ends> {
  let arrived = (): void => {}
  const pings = SIZES.map((size) => framed(echoRequest(size)))
  const large = framed(largePacket())
  writeLarge(large)
  const first = await SocketTun.open(() => { arrived() })
  const second = await SocketTun.open((frame) => {
    if (protocolOf(frame, VIRTIO_HEADER) === protocols.icmp) second.write(returned(frame))
    else arrived()
  })
  let rounds = 0
  return {
    tuns: [first.tun, second.tun],
    round: () => new Promise((resolve) => {
      arrived = resolve
      const round = rounds++
      first.write(round % LARGE_EVERY === 0 ? large : pings[round % pings.length])
      if (round % PAIR_EVERY === 0) first.write(pings[0])
    }),
    async close () {
      arrived()
      await Promise.all([first.close(), second.close()])
    }
  }
}

/** A packet after an empty virtio header. */
function framed (packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(VIRTIO_HEADER + packet.length)
  frame.set(packet, VIRTIO_HEADER)
  return frame
}

/** The same packet from its receiver to its sender. */
function returned (frame: Uint8Array): Uint8Array {
  const [source, destination] = [VIRTIO_HEADER + 12, VIRTIO_HEADER + 16]
  const back = Uint8Array.from(frame)
  back.set(frame.subarray(destination, destination + 4), source)
  back.set(frame.subarray(source, source + 4), destination)
  return back
}

function packetOf (protocol: number, totalLength: number): Uint8Array {
  const [source, destination] = ADDRESSES.map((address) => parseAddress(address) as number)
  const packet = newPacket(totalLength)
  writeHeader(packet, { protocol, source, destination, totalLength })
  return packet
}

/** @param size bytes of the payload */
function echoRequest (size: number): Uint8Array {
  const packet = packetOf(protocols.icmp, HEADER_LENGTH + 8 + size)
  packet[HEADER_LENGTH] = 8
  writeU16(packet, HEADER_LENGTH + 2, fold(addWords(packet, HEADER_LENGTH)))
  return packet
}

/** Segments of TCP as one packet, whose checksum is missing. */
function largePacket (): Uint8Array {
  const packet = packetOf(protocols.tcp, HEADER_LENGTH + TCP_HEADER + SEGMENTS * SEGMENT)
  packet[HEADER_LENGTH + 12] = 5 << 4 // words of the header
  packet[HEADER_LENGTH + 13] = 0x10 // ACK
  return packet
}

/** The virtio header of such a packet: its fields of 16 bits are in the byte order of the machine. */
function writeLarge (frame: Uint8Array): void {
  frame[0] = 1 // the checksum is missing
  frame[1] = Gso.TCPV4
  const fields = new Uint16Array([HEADER_LENGTH + TCP_HEADER, SEGMENT, HEADER_LENGTH, 16])
  frame.set(new Uint8Array(fields.buffer), 2)
}

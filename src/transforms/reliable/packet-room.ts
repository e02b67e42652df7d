/** Memory for the packets of one `poll`, which all streams of a thread share where their ports free it at once. */

/** Bytes of the room that is kept: what one `poll` takes, with room for layers below. */
const MOST_KEPT = 512 << 10

/** Where packets are in a room. */
export interface PacketLayout {
  /** Bytes in front of each packet, and behind it, for layers below. */
  headroom: number
  tailroom: number
  /** Bytes of the longest packet. */
  size: number
}

/** Packets beside each other. */
export class PacketRoom {
  readonly bytes: Uint8Array
  #layout: PacketLayout
  #stride: number
  /** The longest packet of each place: there are many of those, so their views are kept. */
  #views: Uint8Array[] = []

  constructor (packets: number, layout: PacketLayout) {
    this.#layout = layout
    this.#stride = strideOf(layout)
    this.bytes = new Uint8Array(Buffer.allocUnsafeSlow(packets * this.#stride).buffer)
  }

  /** Lays it out in another way. */
  use (layout: PacketLayout): void {
    const { headroom, size, tailroom } = this.#layout
    if (layout.headroom === headroom && layout.size === size && layout.tailroom === tailroom) return
    this.#layout = layout
    this.#stride = strideOf(layout)
    this.#views = []
  }

  /** Where a packet begins. */
  begin (packet: number): number { return packet * this.#stride + this.#layout.headroom }

  packet (packet: number, length: number): Uint8Array {
    const at = this.begin(packet)
    if (length < this.#layout.size) return this.bytes.subarray(at, at + length)
    const view = this.#views[packet] ??= this.bytes.subarray(at, at + length)
    return view
  }
}

let free: PacketRoom | undefined

const strideOf = ({ headroom, size, tailroom }: PacketLayout): number => headroom + size + tailroom

/** Room for so many packets, with whatever in it. */
export function takeRoom (packets: number, layout: PacketLayout): PacketRoom {
  const room = free
  if (room === undefined || room.bytes.length < packets * strideOf(layout)) return new PacketRoom(packets, layout)
  free = undefined
  room.use(layout)
  return room
}

/** Nobody uses it any more. */
export function giveRoom (room: PacketRoom): void {
  const { length } = room.bytes
  if (length <= MOST_KEPT && length > (free?.bytes.length ?? 0)) free = room
}

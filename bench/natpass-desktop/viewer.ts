/** A viewer of a desktop that costs as little as possible: it counts the blocks that come, and gives credit for more, as one of tunpipe does. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { MessageType, SERVER } from '../../src/nodes/natpass/protocol/message-types.ts'
import { decodeMessage, frameOf } from '../../src/nodes/natpass/protocol/messages.ts'
import { proofOf, stepAt } from '../../src/nodes/natpass/protocol/proof.ts'
import { u16be } from '../../src/transforms/length-codecs.ts'
import { LengthPrefixDecoder } from '../../src/transforms/length-prefix.ts'

const VNC = 3
const WINDOW = 256 << 10

let viewers = 0

export interface Screen {
  /** Blocks, those of them at one place that is painted anew in each picture, and bytes of frames. */
  blocks: number
  pictures: number
  bytes: number
}

export class Viewer {
  readonly seen: Screen = { blocks: 0, pictures: 0, bytes: 0 }
  readonly #socket: Socket
  readonly #ids: { from: string, to: string, link_id: string }
  #wake: () => void = () => {}
  #refused: string | undefined

  private constructor (socket: Socket, place: number) {
    const count = viewers++
    this.#socket = socket
    this.#ids = { from: `viewer${count}`, to: 'desk', link_id: `desktop${count}` }
    const decoder = new LengthPrefixDecoder(u16be, { adjust: 4 })
    let owed = 0
    socket.on('data', (read) => {
      this.seen.bytes += read.length
      for (const frame of decoder.push([read])) {
        const { _type: type, crep, vimg } = decodeMessage(frame.subarray(4))
        if ((type as number) === MessageType.connectRep && crep?.ok !== true) this.#refused = crep?.msg ?? ''
        if ((type as number) !== MessageType.vncImage) continue
        this.seen.blocks++
        if (vimg?._info?.rect_x === place && vimg._info.rect_y === place) this.seen.pictures++
        owed += frame.length // a little more than what it costs
      }
      if (owed >= WINDOW / 4) {
        socket.write(frameOf({ ...this.#ids, _type: MessageType.window, window: owed }))
        owed = 0
      }
      this.#wake()
    })
    socket.on('error', () => { this.#refused ??= 'the connection is lost' })
  }

  /** @param place - left and top of the block that is counted */
  static async open (port: number, secret: string, { fps, quality, place }: { fps: number, quality: number, place: number }): Promise<Viewer> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    const viewer = new Viewer(socket, place)
    const ids = viewer.#ids
    socket.write(Buffer.concat([
      frameOf({ _type: MessageType.handshake, from: ids.from, to: SERVER, hsp: { enc: proofOf(secret, stepAt(Date.now())) } }),
      frameOf({ ...ids, _type: MessageType.connectReq, creq: { name: 'bench', _type: VNC, cvnc: { fps, quality }, link: { version: 1, window: WINDOW } } })
    ]))
    return viewer
  }

  /** @throws {Error} when the desktop is refused */
  async until (isSeen: (seen: Screen) => boolean): Promise<void> {
    while (!isSeen(this.seen)) {
      if (this.#refused !== undefined) throw new Error(this.#refused)
      await new Promise<void>((resolve) => { this.#wake = resolve })
    }
  }

  async close (): Promise<void> {
    const closed = new Promise<void>((resolve) => { this.#socket.once('close', () => { resolve() }) }) // also by a reset: not everything was read
    this.#socket.end(frameOf({ ...this.#ids, _type: MessageType.disconnect }))
    await closed
  }
}

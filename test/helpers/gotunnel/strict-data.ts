/**
 * A data connection of strict mode, either end of it: chunks with a length of four bytes in front, first the opening of a user
 * and then its bytes; length 0 is the end of a direction, 0xffffffff its end by a reset. Behind both ends the next user may come.
 */
import { frame, frameParts, Inbox, type End, type Json, type Wire } from './wire.ts'

const RESET = 0xffff_ffff
const ACKNOWLEDGED = Buffer.from('fffffffe', 'hex')

export class StrictData extends Inbox implements End {
  readonly wire: Wire
  /** What the relay says of the user; undefined when the connection has ended instead. */
  readonly opening: Promise<Json | undefined>
  /** How the direction of the user has ended: false when it was a reset, or the end of the connection. */
  isClean = false
  readonly #mayFollow: boolean

  /** @param mayFollow the connection stays for the next user; `acknowledge`: that opening is answered; `streamHeader` is that of the side which begins, a server */
  constructor (wire: Wire, { mayFollow = false, acknowledge = false, opening: mine }: { mayFollow?: boolean, acknowledge?: boolean, opening?: Json } = {}) {
    super()
    this.wire = wire
    this.#mayFollow = mayFollow
    if (mine !== undefined) wire.send(mine) // a chunk is as a frame is
    const opening = mine === undefined ? wire.frame() : Promise.resolve(frame(mine))
    this.opening = opening.then((bytes) => bytes === undefined ? undefined : JSON.parse(bytes.toString('utf8', 4)) as Json)
    this.opening.then((opening) => { if (acknowledge && opening !== undefined) wire.write(ACKNOWLEDGED) }, () => {})
    void this.#read(opening)
  }

  async #read (opening: Promise<unknown>): Promise<void> {
    try {
      await opening
      for (;;) {
        const length = (await this.wire.bytes(4)).readUInt32BE()
        this.isClean = length === 0
        if (length === 0 || length === RESET) break
        this.push(await this.wire.bytes(length))
      }
    } catch {
      // The connection has ended, and so has this.
    }
    this.over()
  }

  write (...parts: Array<Uint8Array | string>): void {
    for (const part of parts) this.wire.write(...frameParts(Buffer.from(part)))
  }

  end (): void {
    this.wire.write(Buffer.alloc(4))
    if (!this.#mayFollow) this.wire.end()
  }

  reset (): void {
    this.wire.write(Buffer.alloc(4, 0xff))
    if (!this.#mayFollow) this.wire.end()
  }
}

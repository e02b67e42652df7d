/** The desktop of this machine, for the client at the other end of a link (natpass protocol, section 4.3). */
import { Blocks, type Block, type Picture } from './blocks.ts'
import { imagesOf, qualityOf } from './images.ts'
import { inputOf } from './input.ts'
import { DesktopError } from './desktop-error.ts'
import type { EncodeJpeg } from './jpeg.ts'
import type { WorkerProcess } from './worker-process.ts'
import { cutText } from './worker/text-limit.ts'
import { WorkerMessageType } from './worker/worker-messages.ts'
import { MAX_CLIPBOARD, TEXT } from '../../protocol/desktop.ts'
import { MessageType } from '../../protocol/message-types.ts'
import { bodyOf, messageOfBody, type MessageInit } from '../../protocol/messages.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { wait } from '../../../../streams/clock.ts'
import { consume } from '../../../../streams/consume.ts'
import { MergedSource } from '../../../../streams/merged-source.ts'
import type { MuxLink } from '../../../../transforms/link-mux/index.ts'
import type { Batch, Clock, Link } from '../../../../types.ts'

/** Pictures a second. */
const DEFAULT_RATE = 10
const MAX_RATE = 50

/** Milliseconds that a viewer may take to take some blocks. Browsers draw nothing while their tab is hidden. */
const TAKE_TIMEOUT = 30 * 60_000

/** Blocks that are encoded at one time. */
const BLOCKS_AT_ONCE = 8

export type DesktopRequest = NonNullable<NonNullable<MessageInit['creq']>['cvnc']>

/** What it has of its process. */
export type DesktopWorker = Pick<WorkerProcess, 'capture' | 'send' | 'failed' | 'onClipboard' | 'close'>

export interface ServedDesktopInit {
  readonly worker: DesktopWorker
  readonly request: DesktopRequest
  /** Undefined: pictures are not compressed. */
  readonly jpeg: EncodeJpeg | undefined
  readonly clock: Clock
}

export class ServedDesktop {
  readonly #worker: DesktopWorker
  readonly #jpeg: EncodeJpeg | undefined
  readonly #clock: Clock
  /** Milliseconds between two pictures. */
  readonly #interval: number
  readonly #blocks: Blocks
  readonly #over = new AbortController()
  /** Settles when the viewer takes no pictures any more. */
  readonly #abandoned: Promise<Error>
  #abandon: (err: Error) => void = () => {}
  #quality: number
  /** The next picture is sent whole. */
  #isWhole = true
  /** When the last picture was to be taken. */
  #dueAt: number
  /** The viewer takes pictures as it is ready for them. */
  #hasCredit = false
  /** When blocks were offered that the link has not taken yet. */
  #offeredAt: number | undefined
  /** When the viewer has sent something. */
  #heardAt: number

  private constructor ({ worker, request: { fps, quality }, jpeg, clock }: ServedDesktopInit, first: Picture) {
    this.#worker = worker
    this.#jpeg = jpeg
    this.#clock = clock
    this.#interval = 1000 / Math.min(fps || DEFAULT_RATE, MAX_RATE)
    this.#quality = qualityOf(quality)
    this.#blocks = new Blocks(first)
    this.#abandoned = new Promise((resolve) => { this.#abandon = resolve })
    this.#dueAt = this.#heardAt = clock.now()
  }

  /** Waits for the first picture. @throws {DesktopError} without one */
  static async open (init: ServedDesktopInit): Promise<ServedDesktop> {
    const { worker, request: { cursor } } = init
    if (cursor === true) void worker.send({ _type: WorkerMessageType.setCursor, show_cursor: true })
    return new ServedDesktop(init, await worker.capture() as Picture) // the first answer is one or an error
  }

  /** Since when the viewer seems to be gone: it takes no pictures, or, where nobody can tell that, says nothing. Undefined while it takes them. */
  get silentSince (): number | undefined { return this.#hasCredit ? this.#offeredAt : this.#heardAt }

  /** Serves a link of messages. Settles with why it has ended, when the process has ended as well. */
  async serve (link: Pick<Link, 'source' | 'flow' | 'sink' | 'abort'> & Pick<MuxLink, 'halfClose'>): Promise<Error> {
    this.#hasCredit = link.halfClose
    const out = new MergedSource(this.#images())
    this.#worker.onClipboard = (text) => { out.put('clipboard', clipboardOf(text)) }
    const reason = await Promise.race([
      this.#worker.failed,
      this.#abandoned,
      link.sink(out).then(closed, (err: Error) => err),
      consume(link, (batch) => this.#take(batch)).then(closed, (err: Error) => err)
    ])
    this.#over.abort(reason)
    link.abort(reason)
    await this.#worker.close(reason)
    return reason
  }

  /** The next picture is taken when the link has taken all of the one before. */
  async * #images (): AsyncGenerator<Batch> {
    let blocks: Block[] = []
    for (;;) {
      if (this.#isWhole) blocks = this.#blocks.all()
      this.#isWhole = false
      for (let i = 0; i < blocks.length; i += BLOCKS_AT_ONCE) yield * this.#offer(await imagesOf(this.#blocks, blocks.slice(i, i + BLOCKS_AT_ONCE), this.#quality, this.#jpeg))
      const picture = await this.#capture()
      blocks = picture === undefined ? [] : this.#blocks.update(picture)
    }
  }

  /** Blocks, until the link has taken them. */
  * #offer (images: Batch): Generator<Batch> {
    this.#offeredAt = this.#clock.now()
    const timer = this.#clock.set(TAKE_TIMEOUT, () => { this.#abandon(new DesktopError('ERR_DESKTOP_VIEWER', `the viewer has taken no picture for ${TAKE_TIMEOUT / 60_000} minutes`)) }).unref()
    try {
      yield images
    } finally {
      this.#offeredAt = undefined
      this.#clock.clear(timer)
    }
  }

  async #capture (): Promise<Picture | undefined> {
    const now = this.#clock.now()
    this.#dueAt += this.#interval // and not later by what the timer, or the picture before, was late: the rate would be lower
    if (this.#dueAt < now - this.#interval) this.#dueAt = now // more than one is not made up for
    if (this.#dueAt > now) await wait(this.#clock, this.#dueAt - now, { signal: this.#over.signal })
    return await this.#worker.capture()
  }

  async #take (batch: Batch): Promise<void> {
    this.#heardAt = this.#clock.now()
    for (const body of batch) await this.#act(messageOfBody(body))
  }

  #act (message: MessageInit): Promise<void> | undefined {
    if ((message._type as number) !== MessageType.vncControl) {
      const input = inputOf(message, this.#blocks)
      return input === undefined ? undefined : this.#worker.send(input)
    }
    this.#quality = qualityOf(message.vctrl?.quality)
    this.#isWhole = true
    return this.#worker.send({ _type: WorkerMessageType.setCursor, show_cursor: message.vctrl?.cursor === true })
  }
}

const closed = (): Error => new LinkClosedError('the link has ended')

const clipboardOf = (text: string): Uint8Array =>
  bodyOf({ _type: MessageType.vncClipboard, vclipboard: { set: true, _type: TEXT, data: cutText(Buffer.from(text), MAX_CLIPBOARD) } })

/** The other end of a link of a page, which a test plays. */
import type { DesktopLink } from '../../../src/nodes/natpass/peer/page/page-desktop.ts'
import { MessageType } from '../../../src/nodes/natpass/protocol/message-types.ts'
import { bodyOf, messageOfBody, type MessageInit } from '../../../src/nodes/natpass/protocol/messages.ts'
import { AsyncQueue } from '../../../src/streams/async-queue.ts'
import type { Batch } from '../../../src/types.ts'

export class PlayedEnd {
  readonly link: DesktopLink
  /** What it gets, as messages. */
  readonly heard: MessageInit[] = []
  /** Settles when the page has ended it. */
  readonly aborted: Promise<Error>
  readonly #toPage = new AsyncQueue()
  readonly #state: { dropped: number }
  #wake: () => void = () => {}

  constructor (id: string, halfClose: boolean) {
    let abort: (err: Error) => void = () => {}
    this.aborted = new Promise((resolve) => { abort = resolve })
    const state = this.#state = { dropped: 0 }
    this.link = {
      id,
      halfClose,
      get dropped () { return state.dropped },
      source: this.#toPage,
      flow: undefined as never,
      sink: async (source) => {
        for await (const batch of source) this.#take(batch)
      },
      abort: (err) => {
        abort(err)
        this.#toPage.fail(err)
      }
    }
  }

  /** Messages that wait for the page. */
  get waiting (): number { return this.#toPage.size }

  send (...messages: MessageInit[]): void { this.#toPage.pushBatch(messages.map(bodyOf)) }

  end (): void { this.#toPage.end() }

  fail (err: Error): void { this.#toPage.fail(err) }

  /** As many messages were lost on the way. */
  lose (count: number): void { this.#state.dropped += count }

  /** The next message of this type that it gets, and those before are forgotten. */
  async hear (type: keyof typeof MessageType): Promise<MessageInit> {
    for (;;) {
      const at = this.heard.findIndex(({ _type }) => (_type as unknown) === MessageType[type])
      if (at >= 0) return this.heard.splice(0, at + 1)[at]
      await new Promise<void>((resolve) => { this.#wake = resolve })
    }
  }

  #take (batch: Batch): void {
    this.heard.push(...batch.map(messageOfBody))
    this.#wake()
  }
}

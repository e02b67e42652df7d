/** A request of a browser for code-server of another client (natpass protocol, sections 4.2 and 6.6). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Reader } from './backlog.ts'
import { Mask, type CodeChannel, type CodeStream } from './code-channel.ts'
import { piecesOf } from './code-socket.ts'
import { headerMap, headersOf, type Headers } from './headers.ts'
import { readBody } from '../read-body.ts'
import { MessageType } from '../../protocol/message-types.ts'
import type { MessageInit } from '../../protocol/messages.ts'
import { reasonOf } from '../../../../text/printable.ts'

/** Bytes of a body for an end that takes it in one message only: with the headers it fits into a frame. */
const MAX_WHOLE = 40 << 10

export interface RemoteRequestInit {
  channel: CodeChannel
  request: IncomingMessage
  response: ServerResponse
  uri: string
  /** Those that are passed on. */
  headers: Headers
  /** What of the headers of the answer the browser gets. */
  answerHeaders (headers: Headers): Headers
  /** Answers with an error of this end. */
  refuse (status: number, text: string): void
}

/** Settles when the request was sent; the answer follows. Rejects when the request breaks. */
export async function forwardRequest (init: RemoteRequestInit): Promise<void> {
  const { channel, request, uri, headers, refuse } = init
  const { method = '' } = request
  const hasBody = headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  const more = hasBody && channel.isOurs
  const body = hasBody && !more ? await readBody(request, MAX_WHOLE) : NOTHING
  if (body === undefined) return refuse(413, `the other end takes bodies of at most ${MAX_WHOLE} bytes`)
  request.socket.setTimeout(0) // the answer may take long
  const forwarded = new ForwardedRequest(init)
  forwarded.stream.send({ _type: MessageType.codeRequest, csreq: { request_id: forwarded.stream.id, method, uri, header: headerMap(headers), body, more } })
  if (more) await forwarded.sendBody()
}

class ForwardedRequest {
  readonly stream: CodeStream
  readonly #init: RemoteRequestInit
  readonly #browser: Reader
  #index = 0

  constructor (init: RemoteRequestInit) {
    this.#init = init
    const { channel, response } = init
    this.stream = channel.add(channel.nextId(), {
      take: (message) => { this.#take(message) },
      fail: (err) => { this.#fail(reasonOf(err)) }
    })
    this.#browser = channel.backlog.reader()
    response.once('close', () => {
      this.#browser.gone()
      this.#leave()
    })
  }

  async sendBody (): Promise<void> {
    const { id } = this.stream
    for await (const chunk of this.#init.request.iterator({ destroyOnReturn: false })) {
      for (const body of piecesOf(chunk)) {
        if (!await this.stream.write({ _type: MessageType.codeRequestBody, csreq_body: { request_id: id, mask: Mask.ok, body } }, body.length)) return
      }
    }
    await this.stream.write({ _type: MessageType.codeRequestBody, csreq_body: { request_id: id, mask: Mask.ok | Mask.last, body: NOTHING } }, 0)
  }

  #take (message: MessageInit): void {
    const { csrep_hdr: head, csrep_body: part } = message
    const { response, answerHeaders } = this.#init
    if (head != null) {
      if (response.headersSent) return
      const code = head.code ?? 0
      if (code < 200 || code > 599) return this.#fail('the other end answers without a status')
      try {
        const headers = headersOf(head.header)
        if (headers['content-length'] !== undefined && !/^\d+$/.test(headers['content-length'].join())) return this.#fail('the other end answers with a length that is none')
        response.strictContentLength = true // more would be taken for the next answer
        response.writeHead(code, answerHeaders(headers))
        response.flushHeaders()
      } catch (err) {
        this.#fail(reasonOf(err as Error))
      }
    } else if (part != null) {
      const mask = part.mask ?? 0
      const isNext = (part.index ?? 0) === this.#index++
      if (!isNext || !response.headersSent || (mask & Mask.ok) === 0) return this.#fail(isNext ? 'the answer has broken off' : 'a part of the answer is missing')
      try {
        this.#write(Buffer.from(part.body ?? [])) // the memory is ours only until this returns
        if ((mask & Mask.last) !== 0) this.#end()
      } catch (err) {
        this.#leave()
        response.destroy() // its length is another one than it says
      }
    }
  }

  #write (body: Buffer): void {
    const { response } = this.#init
    if (this.#browser.isSlow) return this.#fail('the browser is too slow')
    if (body.length === 0) return this.stream.consumed(0)
    this.#browser.add(body.length)
    response.write(body, () => {
      this.#browser.taken(body.length)
      this.stream.consumed(body.length)
    })
  }

  #end (): void {
    this.#init.response.end()
    this.stream.close()
  }

  #fail (text: string): void {
    this.#leave()
    if (this.#init.response.headersSent) this.#init.response.destroy() // so that the browser knows that something is missing
    else this.#init.refuse(502, text)
  }

  /** Nobody waits for the answer. */
  #leave (): void {
    if (this.stream.isOver) return
    if (this.#init.channel.isOurs) this.stream.send({ _type: MessageType.codeRequestBody, csreq_body: { request_id: this.stream.id } })
    this.stream.close()
  }
}

const NOTHING = new Uint8Array(0)

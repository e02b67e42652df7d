/** A request to code-server, on its controlled end (natpass protocol, sections 4.3 and 6.6). */
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { Mask, type CodeChannel, type CodeStream } from './code-channel.ts'
import { piecesOf } from './code-socket.ts'
import { headerMap, headersOf, passedHeaders } from './headers.ts'
import { MessageType } from '../../protocol/message-types.ts'
import type { MessageInit } from '../../protocol/messages.ts'
import { reasonOf } from '../../../../text/printable.ts'

/** Bytes of the head of an answer: with the rest it fits into a frame. */
const MAX_HEAD = 32 << 10

/** Methods that are no requests for a resource. */
const NOT_SERVED: ReadonlySet<string> = new Set(['CONNECT', 'TRACE'])

/** The host of a request: what code-server compares with the origin of the page. */
export const hostOf = (headers: Record<string, string[]>): string => headers['x-forwarded-host']?.[0] ?? 'unix'

/** @throws an error for the other end when it is no path */
export function verifyUri (uri: string | null | undefined): string {
  if (uri == null || !/^\/[\x21-\x7e]*$/.test(uri)) throw new Error('not a path')
  return uri
}

/** Serves a `code_request`. */
export function serveRequest (channel: CodeChannel, id: number, { csreq }: MessageInit, socketPath: string): void {
  try {
    const request = requestOf(csreq ?? {}, socketPath)
    const served = new ServedRequest(channel, id, request)
    if (csreq?.more === true && channel.isOurs) return request.flushHeaders()
    served.end(Buffer.from(csreq?.body ?? []))
  } catch (err) {
    refuseRequest(channel, id, 400, reasonOf(err as Error))
  }
}

/** Answers with a text. */
export function refuseRequest (channel: CodeChannel, id: number, code: number, text: string): void {
  channel.send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: id, code, header: { 'content-type': { values: ['text/plain; charset=utf-8'] } } } })
  channel.send({ _type: MessageType.codeResponseBody, csrep_body: { request_id: id, index: 0, mask: Mask.ok | Mask.last, body: Buffer.from(`${text}\n`) } })
}

/** @throws an error for the other end */
function requestOf ({ method, uri, header, body, more }: NonNullable<MessageInit['csreq']>, socketPath: string): ClientRequest {
  const { expect: _expect, ...headers } = headersOf(header)
  if (method == null || !/^[A-Z]+$/.test(method) || NOT_SERVED.has(method)) throw new Error('not a method')
  if (more !== true) delete headers['content-length']
  if (body != null && body.length > 0) headers['content-length'] = [String(body.length)]
  if ((headers['content-length']?.length ?? 0) > 1) throw new Error('two lengths')
  return httpRequest({ socketPath, method, path: verifyUri(uri), headers: { ...headers, host: hostOf(headers) }, agent: false, maxHeaderSize: MAX_HEAD })
}

class ServedRequest {
  readonly #channel: CodeChannel
  readonly #stream: CodeStream
  readonly #request: ClientRequest
  #isAnswered = false

  constructor (channel: CodeChannel, id: number, request: ClientRequest) {
    this.#channel = channel
    this.#request = request
    this.#stream = channel.add(id, { take: (message) => { this.#take(message) }, fail: () => { request.destroy() } })
    request.on('response', (response: IncomingMessage) => { void this.#answer(response) })
    request.on('error', (err) => { this.#fail(err) })
    request.on('upgrade', (_response, socket) => { socket.destroy() })
    request.on('close', () => { this.#fail(new Error('code-server has not answered')) })
  }

  end (body: Uint8Array): void { this.#request.end(body.length === 0 ? undefined : body) }

  /** A piece of the body of the request, or that nobody waits for the answer. */
  #take ({ csreq_body: part }: MessageInit): void {
    if (part == null) return
    const mask = part.mask ?? 0
    if ((mask & Mask.ok) === 0) {
      this.#stream.close()
      this.#request.destroy()
      return
    }
    if (this.#request.writableEnded) return
    const body = Buffer.from(part.body ?? []) // the memory is ours only until this returns
    this.#request.write(body, () => { this.#stream.consumed(body.length) })
    if ((mask & Mask.last) !== 0) this.#request.end()
  }

  async #answer (response: IncomingMessage): Promise<void> {
    this.#isAnswered = true
    const { id } = this.#stream
    let index = 0
    const write = async (body: Uint8Array, mask: number): Promise<boolean> =>
      await this.#stream.write({ _type: MessageType.codeResponseBody, csrep_body: { request_id: id, index: index++, mask, body } }, body.length)
    try {
      const header = headerMap(passedHeaders(response.rawHeaders))
      this.#stream.send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: id, code: response.statusCode, header } })
      for await (const chunk of response) {
        for (const piece of piecesOf(chunk)) if (!await write(piece, Mask.ok)) return
      }
      await write(NOTHING, Mask.ok | Mask.last)
    } catch (err) {
      this.#stream.send({ _type: MessageType.codeResponseBody, csrep_body: { request_id: id, index, mask: Mask.last, body: Buffer.from(reasonOf(err as Error)) } })
    } finally {
      this.#stream.close()
      this.#request.destroy()
    }
  }

  #fail (err: Error): void {
    if (this.#isAnswered || this.#stream.isOver) return
    this.#stream.close()
    refuseRequest(this.#channel, this.#stream.id, 502, reasonOf(err))
  }
}

const NOTHING = new Uint8Array(0)

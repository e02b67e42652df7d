/** A port in front of a server that keeps what the clients send, to look at the messages on the wire. Shares no code with the library. */
import { connect, createServer, type Socket } from 'node:net'

/** One connection, as its client has written it. */
interface Record {
  bytes: Buffer[]
}

export class Recorder {
  readonly #records: Record[] = []

  /** Passes connections on to a port of this host. */
  listen (port: number, target: number): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (client) => { this.#pass(client, connect({ port: target, host: '127.0.0.1', allowHalfOpen: true })) })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, resolve)
    })
  }

  #pass (client: Socket, server: Socket): void {
    const record: Record = { bytes: [] }
    this.#records.push(record)
    client.on('data', (bytes: Buffer) => { record.bytes.push(bytes) })
    client.pipe(server).pipe(client)
    client.on('error', () => { server.destroy() }).on('close', () => { server.destroy() })
    server.on('error', () => { client.destroy() }).on('close', () => { client.destroy() })
  }

  /** The FORWARD messages of all clients so far, in hexadecimal digits. */
  forwards (): string[] {
    return this.#records.flatMap(({ bytes }) => binaryMessages(Buffer.concat(bytes))).filter((message) => message[0] === 1).map((message) => message.toString('hex'))
  }
}

/** What is in the whole frames behind the head of the request; RFC 6455 section 5.2. */
function binaryMessages (stream: Buffer): Buffer[] {
  const messages: Buffer[] = []
  const head = stream.indexOf('\r\n\r\n')
  if (head < 0) return messages
  for (let at = head + 4; at + 8 <= stream.length;) {
    const short = stream[at + 1] & 0x7f
    const mask = short === 126 ? at + 4 : at + 2
    const size = short === 126 ? stream.readUInt16BE(at + 2) : short
    const end = mask + 4 + size
    if (short === 127 || end > stream.length) break
    if ((stream[at] & 0x0f) === 2) messages.push(Buffer.from(stream.subarray(mask + 4, end).map((byte, i) => byte ^ stream[mask + (i & 3)])))
    at = end
  }
  return messages
}

/** Users of a mapped port: what they send, and how long that takes. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const CHUNK = Buffer.alloc(64 * 1024, 'u')
const MESSAGE = Buffer.alloc(64, 'm')
const HELLO = Buffer.from('e')

async function open (port: number, hello: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(hello)
  return socket
}

/** Bytes a second in one stream towards the service, from the first byte until the service has said that it has all. */
export async function upload (port: number, bytes: number): Promise<number> {
  const socket = await open(port, 'u')
  const start = performance.now()
  for (let sent = 0; sent < bytes; sent += CHUNK.length) {
    if (!socket.write(CHUNK)) await once(socket, 'drain')
  }
  socket.end()
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  if (Number(answer) < bytes) throw new Error(`the service has got ${answer} of ${bytes} bytes`)
  return bytes / (performance.now() - start) * 1000
}

/** Bytes a second in one stream from the service. */
export async function download (port: number, bytes: number): Promise<number> {
  const socket = await open(port, 'd')
  const start = performance.now()
  let got = 0
  for await (const chunk of socket) if ((got += (chunk as Buffer).length) >= bytes) break
  socket.destroy()
  if (got < bytes) throw new Error(`${got} of ${bytes} bytes have come`)
  return got / (performance.now() - start) * 1000
}

/** A user who has been served once and says nothing more. */
export async function idle (port: number): Promise<Socket> {
  const socket = await open(port, 'ei')
  await once(socket, 'data')
  return socket
}

/** Connects, has 64 bytes sent back, leaves; so many at a time. Returns how many a second. */
export async function churn (port: number, milliseconds: number, atOnce: number): Promise<number> {
  const start = performance.now()
  let count = 0
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (performance.now() - start < milliseconds) {
      await visit(port)
      count++
    }
  }))
  return count / (performance.now() - start) * 1000
}

function visit (port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let got = 0
    socket.on('data', (chunk) => {
      got += chunk.length
      if (got === MESSAGE.length) socket.end()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      if (got === MESSAGE.length) resolve()
      else reject(new Error(`${got} of ${MESSAGE.length} bytes have come back`))
    })
    socket.write(Buffer.concat([HELLO, MESSAGE]))
  })
}

/** So many users, each sending 64 bytes again as soon as it has them back. Returns how long each exchange took, in milliseconds. */
export async function exchanges (port: number, users: number, milliseconds: number): Promise<number[]> {
  const sockets = await Promise.all(Array.from({ length: users }, () => idle(port)))
  const times: number[] = []
  const end = performance.now() + milliseconds
  await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => {
    let sent = performance.now()
    let missing = MESSAGE.length
    socket.on('data', (chunk) => {
      missing -= chunk.length
      if (missing > 0) return
      const now = performance.now()
      times.push(now - sent)
      if (now > end) {
        socket.destroy()
        resolve()
        return
      }
      sent = now
      missing = MESSAGE.length
      socket.write(MESSAGE)
    })
    socket.write(MESSAGE)
  })))
  return times
}

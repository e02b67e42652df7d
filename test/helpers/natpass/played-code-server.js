#!/usr/bin/env node
// A program that takes the place of code-server: HTTP and WebSocket on the Unix socket that its arguments name. What it does is in the path
// of a request, and at its start in the name of the folder that it is given.
import { createServer } from 'node:http'
import { writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { WebSocketServer } from 'ws'

const argument = (name) => process.argv[process.argv.indexOf(name) + 1]
const socket = argument('--socket')
const rule = basename(dirname(argument('--user-data-dir')))

if (rule === 'dies') {
  console.error('no room left')
  process.exit(3)
}
if (rule.endsWith('stays')) process.on('SIGTERM', () => {})

/** Answers that wait for a request to /release. */
const waiting = []
const released = () => new Promise((resolve) => { waiting.push(resolve) })

/** Sockets that were closed by the other side, as the paths of their requests. */
const aborted = []

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://unix')
  response.on('close', () => { if (!response.writableFinished) aborted.push(url.pathname) })
  switch (url.pathname) {
    case '/':
      response.end('hello')
      break
    case '/request': {
      let size = 0
      for await (const chunk of request) size += chunk.length
      response.end(JSON.stringify({ url: request.url, method: request.method, headers: request.rawHeaders, size, pid: process.pid, aborted, arguments: process.argv.slice(2), secret: process.env.TUNPIPE_SECRET }))
      break
    }
    case '/echo':
      request.pipe(response)
      break
    case '/answer':
      response.writeHead(Number(url.searchParams.get('code') ?? 200), JSON.parse(url.searchParams.get('headers') ?? '{}'))
      response.end(request.method === 'HEAD' || url.searchParams.has('empty') ? undefined : 'answer')
      break
    case '/bytes': {
      const chunk = Buffer.alloc(65_536, 'x')
      for (let left = Number(url.searchParams.get('count')); left > 0; left -= chunk.length) {
        if (!response.write(chunk.subarray(0, left))) await new Promise((resolve) => { response.once('drain', resolve).once('close', resolve) })
        if (response.destroyed) return
      }
      response.end()
      break
    }
    case '/parts':
      response.write('one ')
      await released()
      response.end('two')
      break
    case '/breaks':
      response.write('one ', () => { response.destroy() })
      break
    case '/waits':
      await released()
      response.end('done')
      break
    case '/release':
      for (const release of waiting.splice(0)) release()
      response.end(String(waiting.length))
      break
    case '/dies':
      process.exit(4)
      break
    default:
      response.writeHead(404).end('nothing here')
  }
})

const sockets = new WebSocketServer({ noServer: true, handleProtocols: (names) => [...names].at(-1), maxPayload: 64 << 20 })
server.on('upgrade', (request, connection, head) => {
  if (request.url === '/refuses') {
    connection.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    return
  }
  sockets.handleUpgrade(request, connection, head, (socket) => {
    socket.on('message', (data, isBinary) => {
      if (data.toString() === 'bye') socket.close(1000, 'as you like')
      else if (data.toString() === 'headers') socket.send(JSON.stringify(request.rawHeaders))
      else socket.send(data, { binary: isBinary })
    })
  })
})

if (!rule.startsWith('hangs')) server.listen(socket, () => { console.log(`[info] HTTP server listening on ${socket}`) })
else {
  writeFileSync('pid', String(process.pid))
  setInterval(() => {}, 1000)
}

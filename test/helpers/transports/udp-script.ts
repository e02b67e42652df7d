/** Sockets of a whole process that has less than others: started by tests, what it saw goes to standard output as one JSON object. */
import { bindUdp } from '../../../src/transports/udp/bind.ts'
import { dialUdp } from '../../../src/transports/udp/dial.ts'

const socket = await bindUdp({ host: '127.0.0.1', port: 0 })
const link = await dialUdp({ host: '127.0.0.1', port: socket.local.port })
const sent = Array.from({ length: 500 }, (_, i) => Buffer.from(`${i}`.padEnd(300)))
link.port.send(sent)
const reads = socket.source[Symbol.asyncIterator]()
let got = 0
let answered = 0
while (got < sent.length) {
  const { value } = await reads.next()
  for (const { data, host, port } of value) {
    if (!sent[got++].equals(data)) throw new Error(`datagram ${got} is another one`)
    socket.port.send([{ data, host, port }])
  }
}
const answers = link.source[Symbol.asyncIterator]()
while (answered < sent.length) answered += (await answers.next()).value.length
const { offloads, reduced } = socket
console.log(JSON.stringify({ offloads, reduced, got, answered, hasFlow: socket.flow !== undefined }))
link.abort(new Error('enough'))
socket.close() // the process ends by itself

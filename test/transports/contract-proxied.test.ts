/** The contract of the wire transports for clients that come through a trusted proxy. */
import { connect } from 'node:net'
import t from 'tap'
import { contract } from '../helpers/transports/contract.ts'
import { wireSubjects } from '../helpers/transports/subjects.ts'
import { until } from '../helpers/ends.ts'
import { proxyV1, proxyV2 } from '../helpers/proxy-headers.ts'
import { rawTcp } from '../helpers/raw-sockets.ts'
import { verifyBytes } from '../../src/options.ts'
import { opened } from '../../src/transports/connecting.ts'
import { ConnectionLimiter } from '../../src/limits/connection-limiter.ts'
import { DEFAULT_QUEUE_LIMIT } from '../../src/transports/stream-link.ts'
import { wireLink } from '../../src/transports/tcp.ts'

const limiter = new ConnectionLimiter({ maxPerSource: 10 })
const source = { host: '192.0.2.1', port: 1234 }

for (const subject of wireSubjects({ limiter, trustedProxies: ['127.0.0.0/8'] })) {
  const make: typeof subject.make = ({ queueLimit = DEFAULT_QUEUE_LIMIT } = {}) => ({
    ...subject.make({ queueLimit }),
    async dial ({ host, port, signal }) { // TCP says nothing by itself, so the proxy has to
      verifyBytes('queueLimit', queueLimit)
      const socket = await opened(connect({ host, port, noDelay: true, allowHalfOpen: true }), 'connect', signal)
      await new Promise((resolve) => { socket.write(proxyV2(source), resolve) })
      return wireLink(socket, { queueLimit })
    }
  })
  const dialRaw: typeof subject.dialRaw = async (_transport, port) => {
    const client = await rawTcp(port)
    client.socket.write(proxyV1(source))
    return client
  }
  const proxied = subject.name === 'tcp' ? { ...subject, make, dialRaw } : subject

  t.test(`${subject.name}, through a proxy`, async (t) => {
    const { admitted: entered } = limiter.stats
    contract(t, proxied)
    t.test('nothing is left in the limiter', async (t) => {
      t.ok(limiter.stats.admitted > entered, 'though there was')
      await until(() => limiter.stats.connections === 0)
    })
  })
}

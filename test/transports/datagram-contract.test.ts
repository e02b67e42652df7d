import t, { type Test } from 'tap'
import { MAX_DATAGRAM, memoryDatagrams } from '../helpers/datagrams.ts'
import { datagramContract } from '../helpers/transports/datagram-contract.ts'

const bind = memoryDatagrams()
let port = 0

datagramContract(t, {
  name: 'memory',
  largest: MAX_DATAGRAM,
  bind: async (t: Test, init) => {
    const socket = bind({ host: '192.0.2.1', port: ++port }, init)
    t.teardown(() => { socket.close() })
    return socket
  }
})

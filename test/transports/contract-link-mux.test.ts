/** A link of a multiplexed connection is as good as a connection of its own. */
import t from 'tap'
import { contract, type Subject } from '../helpers/transports/contract.ts'
import { muxTransport, type MuxPairInit } from '../helpers/transforms/link-mux.ts'
import type { MuxLinkInit } from '../../src/transforms/link-mux/index.ts'

const subject = (name: string, init: MuxPairInit & MuxLinkInit = {}): Subject => ({
  name,
  keepsMessages: init.messages === true,
  overhead: 64,
  make: ({ queueLimit } = {}) => muxTransport({ ...init, queueLimit }),
  async dialRaw (transport, port) {
    const link = await transport.dial({ host: '', port })
    return { reset: () => { link.abort(new Error('reset')) } }
  }
})

for (const one of [
  subject('with credit'),
  subject('without credit', { codec: { credit: false } }),
  subject('messages', { messages: true, codec: { maxData: 65_536 } })
]) {
  t.test(one.name, async (t) => { contract(t, one) })
}

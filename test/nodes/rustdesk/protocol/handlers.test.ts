import t from 'tap'
import { memberDemux } from '../../../../src/nodes/rustdesk/protocol/handlers.ts'
import { rendezvous } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { hex } from '../../../helpers/bytes.ts'
import { messagesOf } from '../../../helpers/rustdesk/vectors.ts'

t.test('each message goes to the handler of its member, and all others to one', async (t) => {
  const heard: Array<[unknown, number]> = []
  const receive = memberDemux<number>({
    register_peer: ({ id }, context) => { heard.push([id, context]) },
    hc: ({ token }, context) => { heard.push([token, context]) }
  }, ({ union }, context) => { heard.push([union, context]) })
  const wires = ['320d0a093132333435363738391003', 'd201050a03746f6b', '3a00', '', 'ea0100']
  for (const [i, wire] of wires.entries()) receive(rendezvous.decode(hex(wire)), i)
  t.same(heard, [['123456789', 0], ['tok', 1], ['register_peer_response', 2], [undefined, 3], [undefined, 4]])
})

t.test('every member of the vectors has its name', async (t) => {
  for (const { name, inputs, hex: wire } of messagesOf('RendezvousMessage')) {
    const [member] = inputs.text.split(' ')
    let count = 0
    memberDemux({ [member]: () => { count++ } }, () => {})(rendezvous.decode(hex(wire)))
    t.equal(count, 1, name)
  }
})

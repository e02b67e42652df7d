/** One connection that takes one address after the other. */
import t from 'tap'
import { CandyRelay } from '../../../src/nodes/candy/index.ts'
import { connect, PASSWORD } from '../../helpers/candy/client.ts'

t.test('a connection changes its address a few times a minute, so that it cannot put out a whole network', async (t) => {
  const relay = new CandyRelay({ password: PASSWORD, dhcp: '10.77.0.0/24' })
  t.teardown(() => relay.close())
  const members = []
  for (let i = 1; i <= 20; i++) {
    const client = connect(relay)
    await client.login(`10.77.0.${i}`)
    members.push(client)
  }
  const rogue = connect(relay)
  await rogue.login('10.77.0.200')
  for (let i = 1; i <= 20; i++) await rogue.login(`10.77.0.${i}`)
  t.same(await rogue.closed, { code: 1013, reason: 'too many attempts from your address' })
  t.equal(relay.stats.refused.rate, 1)
  t.equal(relay.stats.peers, 16, 'four have lost their address to it')
  const again = connect(relay)
  await again.login('10.77.0.30')
  await again.login('10.77.0.30')
  t.equal(relay.stats.peers, 17, 'the same address again is no change')
})

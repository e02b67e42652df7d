/** Direct paths between two of our peers in their homes, whose packets the relay carries while there is none. */
import t from 'tap'
import { DirectSuite, ours } from '../helpers/candy/direct-suite.ts'
import { canRun } from '../helpers/network/requirements.ts'

if (await canRun(t, ['nft', 'tc', 'iperf3'])) {
  t.setTimeout(400_000)
  const suite = new DirectSuite(ours, ours)
  await suite.run(t)
  await t.test('the relay ends and comes back', { timeout: 120_000 }, (t) => suite.withoutRelay(t))
}

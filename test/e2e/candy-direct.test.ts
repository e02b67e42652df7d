/** Direct paths between two of our peers in their homes, whose packets the relay carries while there is none. */
import t, { type Test } from 'tap'
import { DirectSuite, ours } from '../helpers/candy/direct-suite.ts'
import { sample } from '../helpers/sample.ts'
import { canRun } from '../helpers/network/requirements.ts'

if (await canRun(t, ['nft', 'tc', 'iperf3'])) {
  t.setTimeout(400_000)
  const suite = new DirectSuite(ours, ours)
  const scenes: Array<[string, (t: Test) => Promise<void>]> = [
    ['two symmetric routers, and what is said of them', (t) => suite.explained(t)],
    ['two homes', (t) => suite.homes(t)],
    ['the path is cut while TCP goes both ways', (t) => suite.cut(t)],
    ['the path is cut in one direction', (t) => suite.oneWay(t)],
    ['the relay ends and comes back', (t) => suite.withoutRelay(t)],
    ['a forwarded port, and a symmetric router', (t) => suite.fullCone(t)],
    ['behind one router', (t) => suite.together(t)],
    ['two homes with the same private addresses', (t) => suite.sameAddresses(t)],
    ['the path is cut, and mended', (t) => suite.mended(t)]
  ]
  t.jobs = 3 // most of their time is waiting
  await Promise.all(scenes.slice(0, sample('scenes', { short: 5, long: scenes.length })).map(([name, run]) => t.test(name, { timeout: 120_000, buffered: true }, run)))
}

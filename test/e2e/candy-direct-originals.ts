/**
 * Direct paths between the real candy clients, and between them and our peer: `CANDY_BIN` names candy. No part of the suite; run
 * `CANDY_BIN=/usr/bin/candy npx tap --timeout=900 test/e2e/candy-direct-originals.ts`, as root.
 */
import t from 'tap'
import { DirectSuite, ours, real } from '../helpers/candy/direct-suite.ts'
import { CANDY_BIN } from '../helpers/candy/original.ts'
import { canRun } from '../helpers/network/requirements.ts'

if (CANDY_BIN === undefined) {
  t.plan(0, 'only when asked for: set CANDY_BIN')
} else if (await canRun(t, ['nft', 'tc', 'iperf3'])) {
  await t.test('two real clients', { timeout: 800_000 }, (t) => new DirectSuite(real, real).run(t))
  await t.test('our peer and a real client', { timeout: 800_000 }, (t) => new DirectSuite(ours, real).run(t))
  await t.test('a real client and our peer', { timeout: 800_000 }, (t) => new DirectSuite(real, ours).run(t))
}

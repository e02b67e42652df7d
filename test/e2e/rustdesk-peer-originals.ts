/**
 * `peer rustdesk` with the original servers, which HBBS_BIN and HBBR_BIN name, and with one of theirs and one of ours. No part of the suite; as
 * root:
 *
 * `HBBS_BIN=/usr/bin/hbbs HBBR_BIN=/usr/bin/hbbr npx tap --timeout=1800 test/e2e/rustdesk-peer-originals.ts`
 */
import t from 'tap'
import { canRun } from '../helpers/network/requirements.ts'
import { testPeers } from '../helpers/rustdesk/peer-suite.ts'
import { HBBR_BIN, HBBS_BIN, originals, ourRelay, ourRendezvous } from '../helpers/rustdesk/server-pairs.ts'

const BYTES = 10 * 2 ** 20

if (HBBS_BIN === undefined || HBBR_BIN === undefined) t.plan(0, 'only when asked for: set HBBS_BIN and HBBR_BIN')
else if (await canRun(t, ['nft'])) {
  t.setTimeout(1_800_000)
  for (const [name, start] of Object.entries({ 'hbbs and hbbr': originals, 'our rendezvous server and hbbr': ourRendezvous, 'hbbs and our relay': ourRelay })) {
    await t.test(name, { timeout: 600_000 }, async (t) => { await testPeers(t, start, BYTES) })
  }
}

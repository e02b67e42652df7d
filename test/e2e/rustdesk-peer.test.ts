/** `peer rustdesk` with `relay rustdesk`, behind NATs of all kinds. */
import t from 'tap'
import { canRun } from '../helpers/network/requirements.ts'
import { testPeers } from '../helpers/rustdesk/peer-suite.ts'
import { ours } from '../helpers/rustdesk/server-pairs.ts'

if (await canRun(t, ['nft'])) {
  t.setTimeout(400_000)
  await testPeers(t, ours)
}

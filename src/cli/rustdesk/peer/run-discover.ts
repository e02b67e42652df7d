/** What `peer rustdesk discover` does. */
import { discover } from '../../../nodes/rustdesk/peer/discovery.ts'
import type { Flags } from '../../config/settings.ts'
import { taskSettings } from '../../config/task-settings.ts'
import { table } from '../../control/text.ts'
import { explained } from '../../reason.ts'
import { discoverOptions } from './options.ts'

const HEAD = ['ID', 'NAME', 'USER', 'SYSTEM', 'ADDRESS']

export async function runDiscover (flags: Flags): Promise<void> {
  const { broadcast, timeout, json } = taskSettings(flags, discoverOptions)
  const peers = await discover({ timeout, ...(broadcast !== undefined && { broadcast: [broadcast] }) }).catch((err) => { throw explained(err, 'cannot ask') })
  if (json) process.stdout.write(`${JSON.stringify({ peers })}\n`)
  else process.stdout.write(`${peers.length === 0 ? 'nobody has answered' : table([HEAD, ...peers.map(({ id, hostname, username, platform, address }) => [id, hostname, username, platform, address])])}\n`)
}

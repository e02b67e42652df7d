/** The RustDesk protocol in `peer`: a peer that serves others, or connects to them. */
import type { Protocol } from '../../protocol.ts'
import { discoverTask } from './discover-task.ts'
import { CONNECT_ENDINGS, REGISTER_ENDING } from './ending.ts'
import { connectMode, NO_SCREEN, serveMode } from './modes.ts'
import { peerOptions, verifyPeerOptions } from './options.ts'
import { finishPeer, type RustdeskPeerSettings } from './settings.ts'
import { peerExplainText, peerReloadText, peerText } from './status-text.ts'

const EXAMPLES = `
Examples:
  peer rustdesk serve --server rustdesk.example --key 7OAp...= --id 123456789 --to 127.0.0.1:22 --allow 987654321
      on one machine
  peer rustdesk connect 123456789 --server rustdesk.example --key 7OAp...= --id 987654321 --listen 127.0.0.1:2222
      on another one: port 2222 there leads to port 22 of the first
  peer rustdesk discover
      which peers and clients are in this network
  peer rustdesk --config peer.yaml
      both, or several of them

${NO_SCREEN}
Each command has its own --help. The server: relay rustdesk, or the original ones.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration, ${CONNECT_ENDINGS}, ${REGISTER_ENDING}.
Each option is also a key of peer.yaml, below "rustdesk"; options win over it.`

export const rustdeskPeer: Protocol<typeof peerOptions, RustdeskPeerSettings> = {
  name: 'rustdesk',
  description: 'TCP between two machines that know each other by the ids of a RustDesk server: directly where their NATs let them, else by its relay.',
  examples: {
    program: 'peer rustdesk connect 123456789 --listen 127.0.0.1:2222 --server rustdesk.example --key 7OAp...=',
    command: EXAMPLES
  },
  options: peerOptions,
  instanceKey: 'name',
  modes: [serveMode, connectMode],
  tasks: [discoverTask],
  explainExample: 'peer explain --protocol rustdesk 123456789',
  verify: verifyPeerOptions,
  finish: finishPeer,
  async start (context) {
    const { startRustdeskPeer } = await import('./service.ts')
    return await startRustdeskPeer(context)
  },
  statusText: peerText as Protocol['statusText'],
  explainText: peerExplainText as unknown as Protocol['explainText'],
  reloadText: peerReloadText as Protocol['reloadText']
}

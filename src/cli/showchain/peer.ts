/** SHOW CHAIN in `peer`: a node that serves others, or connects to them. */
import type { Protocol } from '../protocol.ts'
import { peerExplainText } from './explain-text.ts'
import { idTask, keygenTask } from './key-tasks.ts'
import { connectMode, serveMode } from './modes.ts'
import { natTask } from './nat-task.ts'
import { peerOptions, verifyPeerOptions } from './options.ts'
import { finishPeer, type ShowchainPeerSettings } from './settings.ts'
import { peerReloadText, peerText } from './status-text.ts'

const EXAMPLES = `
Examples:
  peer showchain keygen --out nas.pem
      a key; prints the id, which others know this node by
  peer showchain serve --to 127.0.0.1:22 --allow @friends.ids --identity nas.pem --bootstrap 192.0.2.7:7700
      on one machine
  peer showchain connect 6b9f...e2 --listen 127.0.0.1:2222 --identity laptop.pem --bootstrap 192.0.2.7:7700
      on another one: port 2222 there leads to port 22 of the first
  peer showchain nat --bootstrap 192.0.2.7:7700 --bootstrap 198.51.100.9:7700
      the kind of NAT in front of this machine
  peer showchain --config peer.yaml
      both, or several of them

Each command has its own --help. Relays: relay showchain.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.
Each option is also a key of peer.yaml, below "showchain"; options win over it.`

export const showchainPeer: Protocol<typeof peerOptions, ShowchainPeerSettings> = {
  name: 'showchain',
  description: 'TCP between two machines behind NAT, known by their keys: directly where their NATs let them, else by a relay.',
  examples: {
    program: 'peer showchain connect 6b9f...e2 --listen 127.0.0.1:2222 --identity laptop.pem --bootstrap 192.0.2.7:7700',
    command: EXAMPLES
  },
  options: peerOptions,
  instanceKey: 'name',
  modes: [serveMode, connectMode],
  tasks: [keygenTask, idTask, natTask],
  capture: { options: {}, examples: '\n  peer capture --protocol showchain --write showchain.pcapng' },
  explainExample: 'peer explain --protocol showchain 6b9f...e2',
  verify: verifyPeerOptions,
  finish: finishPeer,
  async start (context) {
    const { startShowchainPeer } = await import('./peer-service.ts')
    return await startShowchainPeer(context)
  },
  statusText: peerText as Protocol['statusText'],
  explainText: peerExplainText as unknown as Protocol['explainText'],
  reloadText: peerReloadText as Protocol['reloadText']
}

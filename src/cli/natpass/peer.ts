/** The natpass protocol in `peer`: a client of natpass servers, controlled and control end. */
import { peerOptions, verifyPeerOptions } from '../../nodes/natpass/peer/options.ts'
import type { Protocol } from '../protocol.ts'
import { natpassYaml } from './original/config.ts'
import { finishPeer } from './settings.ts'
import { shellTask } from './shell-task.ts'
import { peerText } from './status-text.ts'

const EXAMPLES = `
Examples:
  peer natpass --server 192.0.2.7:6154 --secret-file natpass.secret --id nas --allow shell,tcp,udp@laptop
      the client laptop may open shells here, and TCP and UDP ports of this machine
  peer natpass --config laptop.yaml
      the other end: a file with the rules, of ours or the original's client.yaml, as it is
  peer natpass shell nas-shell
      this terminal as that of the shell of a rule

A file with two rules:
  natpass:
    server: 192.0.2.7:6154
    secret-file: natpass.secret
    id: laptop
    rules:
      - { name: nas-shell, target: nas, type: shell, local_port: 8022 }   # a page at http://127.0.0.1:8022/
      - { name: nas-web, target: nas, type: tcp, local_port: 8080, remote_port: 80 }
      - { name: nas-dns, target: nas, type: udp, local_port: 5353, remote_port: 53 }

Servers: this package's relay, and the original np-svr.
Nothing is allowed by default. Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.
Each option is also a key of peer.yaml, below "natpass"; --config names such a file, options win over it.`

export const natpassPeer: Protocol<typeof peerOptions> = {
  name: 'natpass',
  description: 'A client of natpass servers: shells and ports of this machine for others, and theirs for this one.',
  examples: {
    program: 'peer natpass --server 192.0.2.7:6154 --secret-file natpass.secret --id nas --allow shell@laptop',
    command: EXAMPLES
  },
  options: peerOptions,
  instanceKey: 'id',
  foreign: natpassYaml('peer'),
  tasks: [shellTask],
  verify: verifyPeerOptions,
  finish: finishPeer,
  async start (context) {
    const { startNatpassPeer } = await import('./peer-service.ts')
    return await startNatpassPeer(context)
  },
  statusText: peerText as Protocol['statusText']
}

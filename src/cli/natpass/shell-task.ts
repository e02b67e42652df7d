/** `peer natpass shell RULE`: this terminal as that of a shell at another client. */
import { peerOptions } from '../../nodes/natpass/peer/options.ts'
import type { ProtocolTask } from '../protocol.ts'

const { pagePassword } = peerOptions
const options = { pagePassword }

export const shellTask: ProtocolTask = {
  name: 'shell',
  asksProcess: true,
  argument: { name: 'rule', help: 'the name of a rule of type shell' },
  description: 'Attaches this terminal to the shell of a rule.',
  examples: `
Examples:
  peer natpass shell nas-shell
      by the peer that runs on this machine
  peer natpass shell --config laptop.yaml nas-shell
      by the peer that runs with the id of that file, or, where none does, by a connection of its own
  echo uptime | peer natpass shell nas-shell
      input of a pipe is typed, with the end of input behind it

~. at the beginning of a line leaves, and ends the shell; ~? lists such escapes. Both only where input comes from a terminal.
Exit codes: that of the program where the other end tells it, 128 and the number of its signal, else 0; 1 failure, 2 bad usage or configuration.`,
  options,
  async run (context) {
    const { runShell } = await import('./shell/run-shell.ts')
    await runShell(context, options)
  }
}

/** `peer explain PEER`: why packets to a member take the way that they take. */
import type { Command } from 'commander'
import { givenFlags } from '../command.ts'
import { sendRequest } from './client.ts'
import { controlCommand, controlTarget, find, say, type ControlCommandInit } from './commands.ts'

const EXAMPLES = `
Examples:
  sudo peer explain 10.77.0.3
  sudo peer explain --name home --json 10.77.0.3`

export function explainCommand (init: ControlCommandInit): Command {
  const command = controlCommand(init, 'explain', 'Why packets to a member of the network go directly to it, or through the server, and what would help.', EXAMPLES)
    .argument('<peer>', 'address of the member')
    .option('--json', 'print JSON')
  return command.action((member: string) => {
    const flags = givenFlags(command)
    init.run({
      async task () {
        const answer = await sendRequest(controlTarget(flags, init), { command: 'explain', protocol: flags.protocol, member })
        say(flags, answer, () => find(init.protocols, String(answer.protocol))?.explainText?.(answer.explanation as Record<string, unknown>) ?? String(answer.protocol))
      }
    })
  })
}

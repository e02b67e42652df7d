/** `peer explain PEER`, `relay explain PEER`: why a member is reached as it is, or not. */
import type { Command } from 'commander'
import { givenFlags } from '../command.ts'
import { sendRequest } from './client.ts'
import { controlCommand, controlTarget, find, say, type ControlCommandInit } from './commands.ts'

export function explainCommand (init: ControlCommandInit): Command {
  const examples = init.protocols.flatMap(({ explainExample }) => explainExample === undefined ? [] : `  ${explainExample}`)
  const command = controlCommand(init, 'explain', 'Why a member is reached directly, by others or not at all, and what would help.', `\nExamples:\n${examples.join('\n')}`)
    .argument('<peer>', 'what the protocol calls it: an address, or an id')
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

/** `peer showchain keygen` and `peer showchain id`: the identity of a node. */
import type { ProtocolTask } from '../protocol.ts'
import { idOptions, keygenOptions } from './task-options.ts'

export const keygenTask: ProtocolTask = {
  name: 'keygen',
  description: 'Makes an RSA key and prints its id.',
  examples: `
Examples:
  peer showchain keygen --out laptop.pem
  peer showchain keygen --out relay.pem --bits 4096

Relay and peers alike have such a key. The id is what others know a node by: it is derived from the key, and no secret.
Exit codes: 0 made, 1 failure, 2 bad usage or a file that is there.`,
  options: keygenOptions,
  async run ({ flags }) {
    const { runKeygen } = await import('./run-key-tasks.ts')
    await runKeygen(flags)
  }
}

export const idTask: ProtocolTask = {
  name: 'id',
  description: 'Prints the id of a key.',
  examples: `
Examples:
  peer showchain id --identity laptop.pem
  peer showchain id --identity laptop.pem >> friends.ids
      a line for a file of --allow @FILE

Exit codes: 0 printed, 1 failure, 2 bad usage or no usable key.`,
  options: idOptions,
  async run ({ flags }) {
    const { runId } = await import('./run-key-tasks.ts')
    await runId(flags)
  }
}

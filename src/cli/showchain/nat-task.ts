/** `peer showchain nat`: the kind of NAT in front of this machine. */
import type { ProtocolTask } from '../protocol.ts'
import { natOptions } from './task-options.ts'

export const natTask: ProtocolTask = {
  name: 'nat',
  description: 'Finds out the kind of NAT in front of this machine, T1 to T4, and says why.',
  examples: `
Examples:
  peer showchain nat --bootstrap 192.0.2.7:7700 --bootstrap 198.51.100.9:7700
  peer showchain nat --bootstrap 192.0.2.7:7700 --bootstrap 198.51.100.9:7700 --port 4000 --json
      behind a router that forwards UDP port 4000

One relay alone tells no kind: it is unknown, and counts as T4. Takes some seconds.
Exit codes: 0 printed, also when it is unknown; 1 no relay answers; 2 bad usage or no usable key.`,
  options: natOptions,
  async run ({ flags }) {
    const { runNat } = await import('./run-nat-task.ts')
    await runNat(flags)
  }
}

/** `peer rustdesk discover`: which peers are in this network. */
import type { ProtocolTask } from '../../protocol.ts'
import { discoverOptions } from './options.ts'

export const discoverTask: ProtocolTask = {
  name: 'discover',
  description: 'Asks this network which RustDesk clients, and peers with --discoverable on, are in it.',
  examples: `
Examples:
  peer rustdesk discover
  peer rustdesk discover --broadcast 192.168.1.255 --timeout 5 --json
      one network

Nothing of what is printed is proven: whoever is in the network can answer anything.
Exit codes: 0 printed, also when nobody has answered; 1 the network cannot be asked; 2 bad usage.`,
  options: discoverOptions,
  async run ({ flags }) {
    const { runDiscover } = await import('./run-discover.ts')
    await runDiscover(flags)
  }
}

/** `relay rustdesk join`: what clients of this server need. */
import type { ProtocolTask } from '../protocol.ts'
import { joinOptions } from './join-options.ts'

export const joinTask: ProtocolTask = {
  name: 'join',
  argument: { name: 'host', help: 'the server as clients reach it: a name or an address, with its port where that is not 21116' },
  description: 'Prints what RustDesk clients of this server need: fields, a text to import, and a file name.',
  examples: `
Examples:
  relay rustdesk join rustdesk.example.com
  relay rustdesk join rustdesk.example.com --data /var/lib/rustdesk-server
  relay rustdesk join 192.0.2.7:31116 --relay 192.0.2.7:31117 --json

The key is the public one, and no secret, unless --key is a text of your own.
Exit codes: 0 printed, 1 failure or no key, 2 bad usage.`,
  options: joinOptions,
  async run ({ argument, flags }) {
    const { runJoin } = await import('./run-join-task.ts')
    await runJoin(argument, flags)
  }
}

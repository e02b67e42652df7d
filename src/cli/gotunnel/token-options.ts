import type { Command } from 'commander'

/** The options for the token, for both commands. */
export function withToken (command: Command): Command {
  return command
    .option('--token <text>', 'who knows it may map ports; every user of this machine can see it in `ps`, unlike the next one')
    .option('--token-file <file>', 'read it from a file, or set TUNPIPE_TOKEN')
}

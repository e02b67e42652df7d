import type { Command } from 'commander'

/** The options for the password of a network, for both commands. */
export function withPassword (command: Command): Command {
  return command
    .option('--password <text>', 'the password of the network; every user of this machine can see it in `ps`, unlike the next two')
    .option('--password-file <file>', 'read it from a file, or set TUNPIPE_PASSWORD')
    .option('--allow-empty-password', 'let anyone in who finds the port')
}

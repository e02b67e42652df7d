/** `peer showchain serve` and `peer showchain connect`: parts of the section as commands. */
import type { ProtocolMode } from '../protocol.ts'
import { connectModeOptions, serveOptions } from './options.ts'

export const serveMode: ProtocolMode = {
  name: 'serve',
  description: 'Gives a TCP service of this machine to other nodes.',
  examples: `
Examples:
  peer showchain serve --to 127.0.0.1:22 --allow @friends.ids --identity nas.pem --bootstrap 192.0.2.7:7700 --bootstrap 198.51.100.9:7700
  peer showchain serve --to 22 --allow any --identity nas.pem --bootstrap 192.0.2.7:7700
      whoever knows the id may connect: the service has to check who its users are

A file of --allow has one id a line, as \`peer showchain id\` prints it, and comments behind #. \`peer reload\` reads it again: who is not in it any more is
disconnected at once.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.`,
  options: serveOptions,
  section: (given) => given,
  nameOf: ([key]) => `--${key}`
}

/** Of the argument, and of the list that it makes. */
const ARGUMENT = 'ID'

export const connectMode: ProtocolMode = {
  name: 'connect',
  argument: { name: 'id', help: 'the id of the node, ID@HOST:PORT where its endpoint is known' },
  description: 'Makes a TCP service of another node a port of this machine.',
  examples: `
Examples:
  peer showchain connect 6b9f...e2 --listen 127.0.0.1:2222 --identity laptop.pem --bootstrap 192.0.2.7:7700 --bootstrap 198.51.100.9:7700
      then: ssh -p 2222 127.0.0.1
  peer showchain connect 6b9f...e2@203.0.113.5:4000 --listen 2222 --identity laptop.pem --bootstrap 192.0.2.7:7700

Several nodes are a list in peer.yaml, beside what is served:
  showchain:
    identity: /etc/tunpipe/laptop.pem
    bootstrap: [ 192.0.2.7:7700, 198.51.100.9:7700 ]
    connect:
      - { id: 6b9f...e2, listen: 127.0.0.1:2222 }
      - { id: 07aa...31, listen: 127.0.0.1:8080 }

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration.`,
  options: connectModeOptions,
  section: ({ listen, ...given }, id) => ({ ...given, connect: [{ id, ...(listen !== undefined && { listen }) }] }),
  nameOf: ([key, , inside]) => key === 'connect' && inside !== 'listen' ? ARGUMENT : `--${inside ?? key}`
}

/** `peer rustdesk serve` and `peer rustdesk connect`: parts of the section as commands. */
import type { ProtocolMode } from '../../protocol.ts'
import { CONNECT_ENDINGS, REGISTER_ENDING } from './ending.ts'
import { connectModeOptions, serveOptions } from './options.ts'

export const NO_SCREEN = 'It talks to peers of this program alone: a RustDesk desktop client does not show a screen with it.'

export const serveMode: ProtocolMode = {
  name: 'serve',
  description: `Gives a TCP service of this machine to \`peer rustdesk connect\` elsewhere. ${NO_SCREEN}`,
  examples: `
Examples:
  peer rustdesk serve --server rustdesk.example --key 7OAp...= --id 123456789 --to 127.0.0.1:22 --allow 987654321
      who has registered the id 987654321 at this server
  peer rustdesk serve --server rustdesk.example --key 7OAp...= --id office-pc --to 22 --allow @friends.txt --direct off
      by the relay alone
  peer rustdesk serve --server rustdesk.example --key 7OAp...= --id 123456789 --to 22 --allow any
      whoever knows the id may connect: the service has to check who its users are

A file of --allow has one id or public key a line, and comments behind #. \`peer reload\` reads it again: the sessions of those that are not in it any
more end at once. A peer prints its own public key at the start.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration, ${REGISTER_ENDING}.`,
  options: serveOptions,
  section: (given) => given,
  nameOf: ([key]) => `--${key}`
}

/** Of the argument, and of the list that it makes. */
const ARGUMENT = 'TARGET'

export const connectMode: ProtocolMode = {
  name: 'connect',
  argument: { name: 'target', help: 'the id of the peer' },
  description: `Makes the TCP service of \`peer rustdesk serve\` elsewhere a port of this machine. ${NO_SCREEN}`,
  examples: `
Examples:
  peer rustdesk connect 123456789 --listen 127.0.0.1:2222 --server rustdesk.example --key 7OAp...= --id 987654321
      then: ssh -p 2222 127.0.0.1
  peer rustdesk connect 123456789 --listen 2222 --server rustdesk.example --key 7OAp...=
      without an id the other peer knows this one by its public key, which is printed
  peer rustdesk connect 123456789 --listen 2222 --server rustdesk.example --key 7OAp...= --wait
      also while the other peer is not there yet

Several peers are a list in peer.yaml, beside what is served; then nothing of them ends the program:
  rustdesk:
    server: rustdesk.example
    key: 7OAp...=
    id: 987654321
    connect:
      - { id: 123456789, listen: 127.0.0.1:2222 }
      - { id: office-pc, listen: 127.0.0.1:8080 }

Until there was a session for the first time it ends when there is none; from then on it tries again for ever.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failure, 2 bad usage or configuration, ${CONNECT_ENDINGS}, ${REGISTER_ENDING}.`,
  options: connectModeOptions,
  section: ({ listen, ...given }, id) => ({ ...given, connect: [{ id, ...(listen !== undefined && { listen }) }] }),
  nameOf: ([key, , inside]) => key === 'connect' && inside !== 'listen' ? ARGUMENT : `--${inside ?? key}`
}

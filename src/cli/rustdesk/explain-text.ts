/** Text of `relay explain` for RustDesk: whether a peer can be reached, and what happened to it. */
import type { PeerExplanation, PeerState, PeerStep } from '../../nodes/rustdesk/index.ts'
import { printable } from '../../text/printable.ts'
import { duration } from '../control/text.ts'

const STATES: Readonly<Record<PeerState, string>> = {
  online: 'online, clients reach it',
  silent: 'online, and nothing can be sent to it, as its connection has closed a moment ago',
  offline: 'offline, clients are told so',
  not_allowed: 'not on the list of --allow, so it counts as unknown, though the database has it',
  unknown: 'nobody has registered this id here, clients are told so'
}

/** Where there is no way to it. */
const HELP: Readonly<Partial<Record<PeerState, string>>> = {
  offline: 'the peer has to run, with this server as its ID server and its key; UDP of the rendezvous port has to pass, or TCP where it uses that',
  not_allowed: 'its id or its key on that list, and relay reload',
  unknown: 'the peer has to have this server as its ID server; refused registrations are below'
}

const WHAT: Readonly<Record<string, string>> = { hole: 'by a direct path', local: 'in its own network', relay: 'by a relay' }

const STEPS: Readonly<Record<PeerStep['kind'], (step: PeerStep) => string>> = {
  registered: ({ address, way }) => `registered by ${way} from ${address}`,
  refused: ({ address, way, what }) => `registration by ${way} from ${address} refused: ${what}`,
  asked: ({ address, what }) => `${address} wants to connect ${WHAT[what as string]}, the peer was told`,
  unsent: ({ address }) => `${address} wants to connect, the peer could not be told: too much was sent to it`,
  unreached: ({ address, what }) => `${address} wanted to connect, and was refused: ${what}`,
  answered: ({ address, what }) => `the peer has answered ${address} ${WHAT[what as string]}`
}

export function explainText ({ id, state, address, way, silent, online, key, steps }: PeerExplanation): string {
  const heard = address === '' ? '' : `; ${silent === undefined ? 'not heard since the start, registered from' : `heard ${duration(silent)} ago at`} ${address}${way === '' ? '' : `, by ${way}`}`
  const help = HELP[state]
  return [
    `${printable(id)}: ${STATES[state]}${online === undefined ? '' : ` for ${duration(online)}`}${heard}`,
    ...(help === undefined ? [] : [`what would help: ${help}`]),
    ...(key === '' ? [] : [`its public key: ${key}`]),
    '',
    ...(steps.length === 0 ? ['nothing has happened to it since the start'] : steps.map((step) => `${new Date(step.at).toISOString()} ${STEPS[step.kind](step)}`))
  ].join('\n')
}

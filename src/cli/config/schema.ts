/** The whole of `relay.yaml` and of `peer.yaml`: a section for each protocol, and the keys that all of them share. */
import type { z } from 'zod'
import { candyPeerSection, candyRelaySection } from '../candy/schema.ts'
import { choice, path, section, toggle } from './fields.ts'
import { hostPort } from './network-fields.ts'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

const shared = {
  metrics: hostPort().optional(),
  json: toggle(),
  'log-level': choice(LOG_LEVELS).default('info'),
  control: path().optional()
}

export const relaySchema = section({ candy: candyRelaySection.optional(), ...shared })
export const peerSchema = section({ candy: candyPeerSection.optional(), ...shared })

/** The keys that stand beside the sections of the protocols, not inside. */
export const SHARED_KEYS: readonly string[] = Object.keys(shared)

export type RelaySettings = z.output<typeof relaySchema>
export type PeerSettings = z.output<typeof peerSchema>
export type SharedSettings = Omit<RelaySettings, 'candy'>

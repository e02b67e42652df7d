/** The schemas of `relay.yaml` and `peer.yaml`: a section for each protocol, and shared keys. */
import type { z } from 'zod'
import type { Protocol } from '../protocol.ts'
import { MAX_WORKERS } from '../../nodes/candy/relay/settings.ts'
import { choice, path, section, toggle, wholeNumber } from './fields.ts'
import { hostPort } from './network-fields.ts'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

const shared = {
  metrics: hostPort().optional(),
  json: toggle(),
  'log-level': choice(LOG_LEVELS).default('info'),
  control: path().optional(),
  workers: wholeNumber(1, MAX_WORKERS).optional()
}

/** Top-level keys that belong to no protocol. */
export const SHARED_KEYS: readonly string[] = Object.keys(shared)

export type SharedSettings = z.output<z.ZodObject<typeof shared>>

/** The schema of a program with these protocols. */
export function programSchema (protocols: readonly Protocol[], program: 'relay' | 'peer' = 'relay') {
  const sections = Object.fromEntries(protocols.map(({ name, section }) => [name, section.optional()]))
  return section({ ...sections, ...shared }).superRefine(({ workers }, context) => {
    if (program === 'peer' && workers !== undefined) context.addIssue({ code: 'custom', path: ['workers'], message: 'of no use in a peer, expected no such key' })
  })
}

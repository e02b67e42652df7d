/** The whole of `relay.yaml` and of `peer.yaml`: a section for each protocol, and the keys that all of them share. */
import type { z } from 'zod'
import type { Protocol } from '../protocol.ts'
import { choice, path, section, toggle } from './fields.ts'
import { hostPort } from './network-fields.ts'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

const shared = {
  metrics: hostPort().optional(),
  json: toggle(),
  'log-level': choice(LOG_LEVELS).default('info'),
  control: path().optional()
}

/** The keys that stand beside the sections of the protocols, not inside. */
export const SHARED_KEYS: readonly string[] = Object.keys(shared)

export type SharedSettings = z.output<z.ZodObject<typeof shared>>

/** What the file of a program with these protocols can say. */
export function programSchema (protocols: readonly Protocol[]) {
  const sections = Object.fromEntries(protocols.map(({ name, section }) => [name, section.optional()]))
  return section({ ...sections, ...shared })
}

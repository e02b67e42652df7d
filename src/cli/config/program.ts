/** The schema of `relay.yaml` and `peer.yaml`: a section for each protocol, and shared keys. */
import { z } from 'zod'
import { hostPort } from '../../nodes/common/options/addresses.ts'
import { boolean, choice, path, wholeNumber } from '../../nodes/common/options/checks.ts'
import type { Protocol } from '../protocol.ts'
import { section } from './schema.ts'
import { sectionSchema, withoutSections } from './section.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

const shared = {
  metrics: z.preprocess(withoutSections, hostPort()).optional(),
  json: boolean().default(false),
  'log-level': choice(LOG_LEVELS).default('info'),
  control: path().optional()
}

/** Top-level keys that belong to no protocol. */
export const SHARED_KEYS: readonly string[] = [...Object.keys(shared), 'workers']

export type SharedSettings = z.output<z.ZodObject<typeof shared>> & { workers?: number | undefined }

/** The schema of a program with these protocols. */
export function programSchema (protocols: readonly Protocol[], program: 'relay' | 'peer') {
  const sections = Object.fromEntries(protocols.map(({ name, options, unsupported }) => [name, sectionSchema(options, unsupported).optional()]))
  const maxWorkers = Math.max(1, ...protocols.map(({ maxWorkers = 1 }) => maxWorkers))
  return section({ ...sections, ...shared, workers: (program === 'peer' ? z.undefined({ error: 'of no use in a peer, expected no such key' }) : wholeNumber(1, maxWorkers)).optional() })
}

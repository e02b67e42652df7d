/** Variables of the originals, each with the option that it stands for. */
import type { Option } from '../../../nodes/common/options/option.ts'
import { relayOptions } from '../options.ts'

/** Properties of options whose variables have the same name: `SINGLE_BANDWIDTH` for `singleBandwidth`. */
const SAME = ['port', 'bind', 'key', 'relayServers', 'mask', 'localIp', 'serial', 'rendezvousServers', 'softwareUrl', 'rmem', 'alwaysUseRelay', 'singleBandwidth', 'totalBandwidth', 'limitSpeed', 'downgradeThreshold', 'downgradeStartCheck'] as const

export type Property = typeof SAME[number] | 'database' | 'keyPub' | 'keyPriv'

/** `SINGLE_BANDWIDTH` for `singleBandwidth`. */
const variableOf = (property: string): string => property.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()

/** By name. */
export const VARIABLES: ReadonlyMap<string, Property> = new Map<string, Property>([...SAME.map((property) => [variableOf(property), property] as const), ['DB_URL', 'database']])

/** Names that change nothing here, with the reason. */
export const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  MAX_DATABASE_CONNECTIONS: 'there is one connection, in a thread of its own',
  TEST_HBBS: 'the server does not ask itself',
  RUST_LOG: '--log-level says how much is logged'
}

/** The value of a variable as options take it in files; one that cannot be converted is kept, for the check to reject. */
export function valueIn (property: Property, text: string): unknown {
  if (property === 'alwaysUseRelay') return text.toUpperCase() === 'Y'
  return property === 'bind' ? text.trim() : text
}

/** The check of a value in files. */
export function checkOf (property: Property): Pick<Option, 'check'>['check'] {
  const { check, input = check }: Option = relayOptions[property]
  return input
}

/** Empty is no value, except of a key: then clients need none. */
export const isGiven = (property: Property, text: string): boolean => property === 'key' || text.trim() !== ''

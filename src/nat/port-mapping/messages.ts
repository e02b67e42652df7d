/** What a `PortMapping` and its threads say to each other. */
import { isIPv4 } from 'node:net'
import type { Endpoint } from '../../types.ts'

/** How a gateway is asked. */
export type MappingProtocol = 'upnp' | 'nat-pmp'

/** A mapping that a gateway has made: what its removal takes. */
export interface HeldMapping {
  by: MappingProtocol
  /** The port outside. */
  port: number
  /** The address of the gateway; with `upnp` the URL of its description. */
  gateway: string
}

/** What a thread is started for: one request, which has one answer. */
export interface MappingTask {
  kind: 'map' | 'unmap'
  /** Of the machine, in the network of the gateway. */
  address: string
  port: number
  /** The address that NAT-PMP asks; undefined: only UPnP is tried. */
  gateway: string | undefined
  protocols: readonly MappingProtocol[]
  /** Seconds for which a mapping is asked. */
  lease: number
  /** What is renewed, or removed. */
  held: HeldMapping | undefined
}

export type MappingAnswer =
  /** `lease`: in seconds. */
  | { kind: 'mapped', external: Endpoint, held: HeldMapping, lease: number }
  /** `isGone`: there is no mapping any more, also where there was one. */
  | { kind: 'none' | 'failed', reason: string, isGone: boolean }
  | { kind: 'unmapped' }

/** Characters of a reason, and of the URL of a description. */
const MOST_REASON = 300
export const MOST_URL = 1024

export const failed = (reason: string): MappingAnswer => ({ kind: 'failed', reason: reason.slice(0, MOST_REASON), isGone: false })

/** An answer, as it has come from a thread that reads what gateways send: anything else is a failure. */
export function readAnswer (value: unknown, lease: number): MappingAnswer {
  if (isRecord(value)) {
    const { kind, reason, isGone, external, held } = value
    if (kind === 'unmapped') return { kind }
    if ((kind === 'none' || kind === 'failed') && typeof reason === 'string') return { kind, reason: reason.slice(0, MOST_REASON), isGone: isGone === true }
    if (kind === 'mapped' && isRecord(external) && isRecord(held) && isInteger(value.lease, lease) && isInteger(external.port, 65_535) && isInteger(held.port, 65_535) &&
      typeof external.host === 'string' && isIPv4(external.host) && typeof held.gateway === 'string' && held.gateway.length <= MOST_URL && (held.by === 'upnp' || held.by === 'nat-pmp')) {
      return { kind, external: { host: external.host, port: external.port }, held: { by: held.by, port: held.port, gateway: held.gateway }, lease: value.lease }
    }
  }
  return failed('the thread has given no answer')
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

const isInteger = (value: unknown, most: number): value is number => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most

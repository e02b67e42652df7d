/** Rules and their links in the form of the original (natpass protocol, section 5). */
import type { NatpassRuleStatus } from '../settings.ts'

export interface InfoCounts {
  readonly rules: number
  readonly virtual_links: number
  /** Terminals and desktops. */
  readonly sessions: number
}

export interface RuleCounts {
  readonly name: string
  /** Absent of a measurement. */
  readonly remote?: string
  /** 0 while it does not listen. */
  readonly port: number
  readonly type: string
  readonly links: readonly LinkCounts[] | null
}

export interface LinkCounts {
  readonly id: string
  readonly send_bytes: number
  readonly send_packet: number
  readonly recv_bytes: number
  readonly recv_packet: number
}

export function infoOf (rules: readonly NatpassRuleStatus[]): InfoCounts {
  const linksOf = (some: readonly NatpassRuleStatus[]): number => some.reduce((sum, { links }) => sum + links, 0)
  return { rules: rules.length, virtual_links: linksOf(rules), sessions: linksOf(rules.filter(({ type }) => type === 'shell' || type === 'vnc')) }
}

/** None are `null`, as in the original. */
export const rulesOf = (rules: readonly NatpassRuleStatus[]): readonly RuleCounts[] | null => rules.length === 0 ? null : rules.map(ruleCounts)

function ruleCounts ({ name, target, type, url, open }: NatpassRuleStatus): RuleCounts {
  const links = open.map(({ id, bytesIn, packetsIn, bytesOut, packetsOut }) => ({ id, send_bytes: bytesOut, send_packet: packetsOut, recv_bytes: bytesIn, recv_packet: packetsIn }))
  return { name, ...(type === 'bench' ? {} : { remote: target }), port: Number(/:(\d+)$/.exec(url ?? '')?.[1] ?? 0), type, links: links.length === 0 ? null : links }
}

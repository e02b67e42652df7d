/** Rules and their links in the form of the original (natpass protocol, section 5). */
import type { NatpassLinkStatus, NatpassPeerStatus, NatpassRuleStatus, NatpassServedLinkStatus } from '../settings.ts'

/** What is shown. */
export type CountedStatus = Pick<NatpassPeerStatus, 'rules' | 'served'>

export interface InfoCounts {
  /** Those of the configuration. */
  readonly rules: number
  readonly virtual_links: number
  /** Terminals and desktops. */
  readonly sessions: number
}

export interface RuleCounts {
  readonly name: string
  /** Absent of a measurement. */
  readonly remote?: string
  /** 0 while it does not listen, and of a rule of another client. */
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

/** Links of both directions count. */
export function infoOf ({ rules, served }: CountedStatus): InfoCounts {
  const links = [...rules.flatMap(({ type, links }) => Array<string>(links).fill(type)), ...served.map(({ type }) => type)]
  return { rules: rules.length, virtual_links: links.length, sessions: links.filter((type) => type === 'shell' || type === 'vnc').length }
}

/** Rules of others are those that have links open here. None at all are `null`, as in the original. */
export function rulesOf ({ rules, served }: CountedStatus): readonly RuleCounts[] | null {
  const all = [...rules.map(ruleCounts), ...rulesOfOthers(served)]
  return all.length === 0 ? null : all
}

function ruleCounts ({ name, target, type, url, open }: NatpassRuleStatus): RuleCounts {
  return { name, ...(type === 'bench' ? {} : { remote: target }), port: Number(/:(\d+)$/.exec(url ?? '')?.[1] ?? 0), type, links: open.length === 0 ? null : open.map(linkCounts) }
}

function rulesOfOthers (served: readonly NatpassServedLinkStatus[]): RuleCounts[] {
  const groups = new Map<string, NatpassServedLinkStatus[]>()
  for (const link of served) {
    const key = JSON.stringify([link.client, link.rule, link.type])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [link])
    else group.push(link)
  }
  return [...groups.values()].map((links) => {
    const [{ client, rule, type }] = links
    return { name: rule, remote: client, port: 0, type: type === 'code' ? 'code-server' : type, links: links.map(linkCounts) }
  })
}

const linkCounts = ({ id, bytesIn, packetsIn, bytesOut, packetsOut }: NatpassLinkStatus): LinkCounts =>
  ({ id, send_bytes: bytesOut, send_packet: packetsOut, recv_bytes: bytesIn, recv_packet: packetsIn })

/** Text of `relay status`, `peer status` and `relay reload` for natpass. */
import type { ConfigureResult, NatpassClientStatus, NatpassPeerStatus, NatpassRuleStatus, NatpassServerStatus } from '../../nodes/natpass/index.ts'
import { bytes, counted, duration, nonZero, rate, table } from '../control/text.ts'

const HEAD = ['CLIENT', 'SOURCE', 'UP', 'LINKS', 'IN', 'OUT', 'RECEIVED', 'SENT', 'QUEUED']

export function relayText ({ url, clients, halfOpen, links, opened, refused, refusedLinks, endedLinks, drops, members }: NatpassServerStatus): string {
  const current = Object.values(links).reduce((sum, count) => sum + count, 0)
  const types = nonZero(links)
  return [
    `natpass ${url}: ${counted(clients, 'client')}, ${counted(current, 'link')}${types === '' ? '' : ` (${types})`}, ${opened} since the start, ${halfOpen} half-open`,
    ...line('refused', refused),
    ...line('links refused', refusedLinks),
    ...line('links ended by the relay', endedLinks),
    ...line('messages dropped', drops),
    ...(members.length === 0 ? [] : ['', table([HEAD, ...members.map(row)])])
  ].join('\n')
}

const line = (what: string, counts: Record<string, number>): string[] => nonZero(counts) === '' ? [] : [`${what} since the start: ${nonZero(counts)}`]

const row = ({ id, source, connected, links, rateIn, rateOut, bytesIn, bytesOut, queuedBytes, isStalled }: NatpassClientStatus): string[] =>
  [id, source, duration(connected), String(links), rate(rateIn), rate(rateOut), bytes(bytesIn), bytes(bytesOut), `${bytes(queuedBytes)}${isStalled ? ', stalled' : ''}`]

/** `2 links ended, listens on tcp://0.0.0.0:6154`. */
export function relayReloadText ({ ended, url }: ConfigureResult & { url: string }): string {
  return `${counted(ended, 'link')} ended, listens on ${url}`
}

const RULE_HEAD = ['RULE', 'TYPE', 'TARGET', 'USERS CONNECT TO', 'LINKS', 'OPENED', 'IN', 'OUT', 'PROBLEM']

export function peerText ({ server, id, connected, reason, rateIn, rateOut, links, accepted, refused, lostDatagrams, rules, page }: NatpassPeerStatus): string {
  const state = connected === undefined ? `offline${reason === undefined ? '' : `: ${reason}`}` : `online for ${duration(connected)}, in ${rate(rateIn)}, out ${rate(rateOut)}`
  return [
    `natpass ${id} at ${server}: ${state}`,
    `links of others here: ${links}, ${accepted} since the start, ${refused} refused`,
    ...line('datagrams lost', lostDatagrams),
    ...(page === undefined ? [] : [`page: ${page.url ?? page.problem}`]),
    ...(rules.length === 0 ? [] : ['', table([RULE_HEAD, ...rules.map(ruleRow)])])
  ].join('\n')
}

const ruleRow = ({ name, type, target, url, links, opened, bytesIn, bytesOut, problem }: NatpassRuleStatus): string[] => [name, type, target, url ?? '-', String(links), String(opened), bytes(bytesIn), bytes(bytesOut), problem ?? '-']

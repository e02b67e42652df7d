/** Text of direct paths for `peer status` and `peer explain`. */
import type { DirectMemberStatus, DirectStatus, NatKind, PathExplanation } from '../../nodes/candy/index.ts'
import { bytes, counted, table } from '../control/text.ts'

const HEAD = ['MEMBER', 'PATH', 'ENDPOINT', 'ROUND TRIP', 'LOST IN', 'LOST OUT', 'IN', 'OUT', 'STATE', 'KEYS']

/** Members that are shown; the rest is a number. */
const MAX_MEMBERS = 50

export function directLines (direct: DirectStatus, members: readonly DirectMemberStatus[]): string[] {
  return [`direct paths: ${ownText(direct)}`, ...direct.stun.map((server) => `  ${stunText(server)}`), ...membersText(members)]
}

function ownText ({ isOpen, reason, port, endpoint, nat, mapping }: DirectStatus): string {
  if (!isOpen) return `none, ${reason ?? 'the peer has no address yet'}`
  return [`UDP port ${port}`, `told as ${endpoint ?? 'no endpoint'}`, `NAT ${natText(nat)}`, ...mappingTexts(mapping)].join(', ')
}

function mappingTexts ({ state, endpoint, by, reason }: DirectStatus['mapping']): string[] {
  switch (state) {
    case 'off': return []
    case 'looking': return ['a router is asked for a port']
    case 'mapped': return [`mapped to ${endpoint ?? ''} by ${by === 'upnp' ? 'UPnP' : 'NAT-PMP'}`]
    default: return [`no port mapped: ${reason ?? state}`]
  }
}

/** `port-restricted cone (mapping endpoint-independent, filtering address-and-port-dependent)`. */
function natText ({ name, mapping, filtering, isTranslated }: NatKind): string {
  const parts = [...(mapping === 'unknown' || isTranslated === false ? [] : [`mapping ${mapping}`]), ...(filtering === 'unknown' ? [] : [`filtering ${filtering}`])]
  return parts.length === 0 ? name : `${name} (${parts.join(', ')})`
}

function stunText ({ server, status, endpoint, roundTrip, error }: DirectStatus['stun'][number]): string {
  const what = status === 'answered' ? `${endpoint ?? ''}${roundTrip === undefined ? '' : ` in ${milliseconds(roundTrip)}`}` : status === 'pending' ? 'asked' : status
  return `STUN ${server}: ${what}${error === undefined ? '' : `, ${error}`}`
}

function membersText (members: readonly DirectMemberStatus[]): string[] {
  if (members.length === 0) return []
  const bytesOf = ({ bytesIn, bytesOut }: DirectMemberStatus): number => bytesIn + bytesOut
  const sorted = [...members].sort((a, b) => bytesOf(b) - bytesOf(a))
  const more = sorted.length - MAX_MEMBERS
  return ['', table([HEAD, ...sorted.slice(0, MAX_MEMBERS).map(memberRow)]), ...(more > 0 ? [`and ${counted(more, 'more member')}`] : [])]
}

const memberRow = (member: DirectMemberStatus): string[] => [
  member.address,
  pathText(member),
  member.endpoint ?? '-',
  member.roundTrip === undefined ? '-' : milliseconds(member.roundTrip),
  percent(member.loss.in),
  percent(member.loss.out),
  bytes(member.bytesIn),
  bytes(member.bytesOut),
  member.state,
  member.endpoint === undefined ? '-' : member.isIntroduced ? 'own' : 'shared'
]

const pathText = ({ path, via }: Pick<DirectMemberStatus, 'path' | 'via'>): string => path === 'via' ? `via ${via ?? ''}` : path

const milliseconds = (time: number): string => `${time.toFixed(1)} ms`

const percent = (part: number | undefined): string => part === undefined ? '-' : `${(part * 100).toFixed(1)} %`

/** The text of `peer explain`. */
export function explainText ({ address, path, via, endpoint, state, isIntroduced, text, hints, retry, own, member, history }: PathExplanation): string {
  const keys = endpoint === undefined ? '' : isIntroduced ? ', keys of its own' : ', the key that all members share'
  return [
    `${address}: ${pathText({ path, via })}${endpoint === undefined ? '' : `, ${endpoint}`}${keys}, state ${state}`,
    `why: ${text}${retry === undefined ? '' : `; the next attempt in ${Math.ceil(retry / 1000)} s`}`,
    ...hints.map((hint) => `what would help: ${hint}`),
    '',
    `here: ${ownText(own)}`,
    ...own.candidates.map(({ type, endpoint }) => `  candidate ${endpoint}, ${type}`),
    ...(own.stun.length === 0 ? ['  no STUN server is asked'] : own.stun.map((server) => `  ${stunText(server)}`)),
    `there: ${member.endpoint === undefined && member.isIntroduced === undefined ? 'nothing was told' : `told as ${member.endpoint ?? 'an endpoint that cannot be used'}, ${member.isIntroduced === true ? `NAT ${natText(member.nat)}` : 'an original client, NAT unknown'}`}`,
    ...member.candidates.map((candidate) => `  candidate ${candidate}`),
    '',
    ...(history.length === 0 ? ['nothing was tried'] : history.map(({ at, text }) => `${new Date(at).toISOString()} ${text}`))
  ].join('\n')
}

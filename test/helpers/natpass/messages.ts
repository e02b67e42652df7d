/** Messages of natpass as tests send them. */
import { LINK_TYPES, MessageType, type LinkType } from '../../../src/nodes/natpass/protocol/message-types.ts'
import type { Message, MessageInit } from '../../../src/nodes/natpass/protocol/messages.ts'
import type { NatpassClient } from './client.ts'

export const LINK = '0123456789abcdef'

/** A type that no program knows. */
export const UNKNOWN = 99 as number as MessageInit['_type']

export const request = (to: string, link = LINK, type: LinkType | number = 'shell'): MessageInit =>
  ({ _type: MessageType.connectReq, to, link_id: link, creq: { name: 'rule', _type: typeof type === 'number' ? type : LINK_TYPES.indexOf(type), cshell: { exec: 'sh' } } })

export const answer = (to: string, link = LINK, ok = true): MessageInit => ({ _type: MessageType.connectRep, to, link_id: link, crep: { ok, msg: ok ? '' : 'no' } })

export const data = (to: string, content: string | Uint8Array, link = LINK): MessageInit => ({ _type: MessageType.shellData, to, link_id: link, sdata: { data: Buffer.from(content) } })

export const ended = (to: string, link = LINK): MessageInit => ({ _type: MessageType.disconnect, to, link_id: link })

export const isType = (name: keyof typeof MessageType) => ({ _type }: Message): boolean => (_type as number) === MessageType[name]

export const contentOf = ({ sdata }: Message): string => Buffer.from(sdata?.data ?? []).toString()

/** Opens a link that the other end accepts. */
export async function openLink (opener: NatpassClient, target: NatpassClient, link = LINK): Promise<void> {
  opener.send(request(target.id, link))
  await target.next(isType('connectReq'))
  target.send(answer(opener.id, link))
  await opener.next(isType('connectRep'))
}

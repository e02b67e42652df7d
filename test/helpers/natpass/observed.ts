/** What a client sees of a server, in a few words, so that two servers can be compared. */
import { setTimeout as delay } from 'node:timers/promises'
import type { NatpassClient } from './client.ts'
import { LengthPrefixDecoder } from '../../../src/transforms/length-prefix.ts'
import { u16be } from '../../../src/transforms/length-codecs.ts'
import { MessageType } from '../../../src/nodes/natpass/protocol/message-types.ts'
import type { Message } from '../../../src/nodes/natpass/protocol/messages.ts'

/** Milliseconds after which a server counts as silent. */
export const SILENCE = 1500

const NAMES = new Map<number, string>(Object.entries(MessageType).map(([name, number]) => [number, name]))

const told = ({ _type, from, to, link_id: link, crep }: Message): string =>
  `${NAMES.get(_type) ?? _type} ${from}>${to}${link === '' ? '' : ` of ${link}`}${crep == null ? '' : ` ${crep.ok}`}`

/** Empties the inbox, but for keep-alives of the server. */
export function messages (client: NatpassClient): string[] {
  return client.inbox.splice(0).filter(({ _type }) => _type !== MessageType.keepalive).map(told)
}

/** Whether the server closes within the time of silence, and what it says. */
export async function fate (client: NatpassClient, milliseconds = SILENCE): Promise<string> {
  const end = await Promise.race([client.closed.then((bytes) => `closed, ${bytes.length} bytes`), delay(milliseconds, 'open')])
  const said = messages(client)
  return said.length === 0 ? end : `${end}: ${said.join(', ')}`
}

/** Whether the server still handles what this client says. */
export async function isServed (client: NatpassClient): Promise<string> {
  return await Promise.race([client.settled().then(() => 'served'), client.closed.then(() => 'closed'), delay(2 * SILENCE, 'deaf')])
}

/** All frames that a client gets from now on, as they are on the wire. */
export function framesOf (client: NatpassClient): Buffer[] {
  const frames: Buffer[] = []
  const decoder = new LengthPrefixDecoder(u16be, { adjust: 4, keepLength: true })
  client.socket.on('data', (read: Buffer) => { for (const frame of decoder.push([read])) frames.push(Buffer.from(frame)) })
  return frames
}

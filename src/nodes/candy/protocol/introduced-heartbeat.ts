/**
 * HEARTBEAT between members that have introduced themselves to each other; candy protocol, section 2.7. It is longer than that of the
 * protocol, has an id, tells which one of the other side it answers, and may be padded, to find out which sizes arrive.
 */
import { readU16, readU32, writeU16, writeU32 } from '../../../net/ipv4.ts'
import { DATAGRAM_LAYOUT, newDatagram, writeHeartbeat } from './datagrams.ts'

/** Bytes of the shortest one. */
export const INTRODUCED_HEARTBEAT = 28

const ANSWER = 1
const UNKNOWN_LOSS = 0xffff

export interface IntroducedHeartbeat {
  /** The virtual address of the sender. */
  sender: number
  /** Random, not 0. */
  id: number
  /** The sender asks for an answer at once. */
  wantsAnswer: boolean
  /** The id of the newest one that has come from the receiver, or of the one that this answers; 0: none yet. */
  echo: number
  /** Milliseconds since that has come, at most 65535. */
  echoDelay: number
  /** Bytes of the datagram that `echo` came in. */
  echoSize: number
  /** The part of the datagrams of the receiver that has not come, 0 to 1; undefined: unknown. */
  loss: number | undefined
}

/** A datagram to be sealed. @param size its bytes; as many as it needs when fewer */
export function newIntroducedHeartbeat (heartbeat: IntroducedHeartbeat, size = 0): Uint8Array {
  const datagram = newDatagram(Math.max(INTRODUCED_HEARTBEAT, size - DATAGRAM_LAYOUT.text))
  const at = DATAGRAM_LAYOUT.text
  writeHeartbeat(datagram, at, { sender: heartbeat.sender, acknowledge: heartbeat.echo !== 0 })
  datagram[at + 12] = heartbeat.wantsAnswer ? ANSWER : 0
  writeU16(datagram, at + 14, heartbeat.echoSize)
  writeU32(datagram, at + 16, heartbeat.id)
  writeU32(datagram, at + 20, heartbeat.echo)
  writeU16(datagram, at + 24, Math.min(0xffff, Math.round(heartbeat.echoDelay)))
  writeU16(datagram, at + 26, heartbeat.loss === undefined ? UNKNOWN_LOSS : Math.round(heartbeat.loss * 10_000))
  return datagram
}

/** Undefined when it is too short. @param text from byte 0 of the plaintext on */
export function readIntroducedHeartbeat (text: Uint8Array): IntroducedHeartbeat | undefined {
  if (text.length < INTRODUCED_HEARTBEAT) return undefined
  const loss = readU16(text, 26)
  return {
    sender: readU32(text, 1),
    id: readU32(text, 16),
    wantsAnswer: (text[12] & ANSWER) !== 0,
    echo: readU32(text, 20),
    echoDelay: readU16(text, 24),
    echoSize: readU16(text, 14),
    loss: loss > 10_000 ? undefined : loss / 10_000
  }
}

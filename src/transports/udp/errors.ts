/** Errors of a UDP socket are counted: none of them ends it, as the next datagram may pass. */

/** Errors of a socket since the start. */
export interface UdpErrors {
  /** There is no way to the other side, or nobody at its port: what ICMP has said (`ECONNREFUSED`, `EHOSTUNREACH`, `ENETUNREACH`). */
  unreachable: number
  /** A datagram was larger than the way takes: `EMSGSIZE`. */
  tooLarge: number
  /** The system had no room for a datagram, which is lost: `ENOBUFS`, `ENOMEM`. */
  noRoom: number
  /** The system had no room for now: `EAGAIN`. What was to be sent waits; nothing is lost. */
  waits: number
  /** Others, such as `EPERM` of a firewall. */
  other: number
}

const KINDS: Readonly<Record<string, keyof UdpErrors>> = {
  ECONNREFUSED: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETDOWN: 'unreachable',
  EMSGSIZE: 'tooLarge',
  EAGAIN: 'waits',
  ENOBUFS: 'noRoom',
  ENOMEM: 'noRoom'
}

export const newUdpErrors = (): UdpErrors => ({ unreachable: 0, tooLarge: 0, noRoom: 0, waits: 0, other: 0 })

/** Counts an error by its code, such as `ECONNREFUSED`. */
export function countError (errors: UdpErrors, code = ''): void {
  errors[Object.hasOwn(KINDS, code) ? KINDS[code] : 'other']++
}

/** Values of enums, by the names that RustDesk has for them (RustDesk protocol, section 2.2). */

/** How a peer's NAT maps ports; `symmetric` also means: only by a relay. */
export const NatType = { unknown: 0, asymmetric: 1, symmetric: 2 } as const

/** Why there is no way to a peer. */
export const PunchFailure = { idNotExist: 0, offline: 2, licenseMismatch: 3, licenseOveruse: 4 } as const

/** Why there is no relay to a peer that is offline: the text that clients have for it. */
export const RELAY_OFFLINE = 'Remote desktop is offline'

/** The answer to a registration. */
export const RegisterResult = {
  ok: 0,
  uuidMismatch: 2,
  idExists: 3,
  tooFrequent: 4,
  invalidIdFormat: 5,
  notSupport: 6,
  serverError: 7,
  notDeployed: 8
} as const

/** tunpipe's own: the answer to an introduction. None is 0: a payload without bytes is not sealed. */
export const ReceptionResult = { accepted: 1, notAllowed: 2, notProven: 3, tooMany: 4 } as const

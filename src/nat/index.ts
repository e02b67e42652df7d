/** Traversal of NATs, without sockets and timers: who uses it sends, receives, and passes the time. */
export { isLocalAddress, scopeOf, type AddressScope } from './address-scope.ts'
export { gatherCandidates, type Candidate, type CandidatesInit } from './candidates.ts'
export { PathMtu, type PathMtuInit } from './path-mtu.ts'
export type { ChangeRequest, StunError } from './stun/attributes.ts'
export { StunClient, type StunClientInit, type StunResult } from './stun/client.ts'
export { decodeStun, encodeStun, isStun, type StunClass, type StunMessage, type StunMessageInit } from './stun/message.ts'
export type { FillRandom } from './stun/transaction.ts'

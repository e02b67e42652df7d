/** The close frames with which a relay ends connections (candy protocol, section 1.6). Existing clients treat each as a lost connection. */
import { CloseCode, type WebSocketLink } from '../../../transforms/websocket-frames/index.ts'

const { PROTOCOL_ERROR, POLICY_VIOLATION, TRY_AGAIN_LATER, SERVICE_RESTART, GOING_AWAY, NORMAL } = CloseCode

/** Code and text by reason. */
const FRAMES = {
  malformed: [PROTOCOL_ERROR, 'malformed message'],
  password: [POLICY_VIOLATION, 'wrong password'],
  clock: [POLICY_VIOLATION, 'clock differs by more than 300 seconds'],
  replay: [POLICY_VIOLATION, 'used from another address before'],
  rate: [TRY_AGAIN_LATER, 'too many attempts from your address'],
  unauthenticated: [POLICY_VIOLATION, 'not authenticated'],
  not_owner: [POLICY_VIOLATION, 'source is not your address'],
  address: [POLICY_VIOLATION, 'address not allowed'],
  range: [POLICY_VIOLATION, 'this relay gives no addresses, choose one'],
  pool: [TRY_AGAIN_LATER, 'no free address'],
  full: [TRY_AGAIN_LATER, 'the network is full'],
  address_in_use: [POLICY_VIOLATION, 'address in use by another device'],
  timeout: [POLICY_VIOLATION, 'timeout'],
  path: [POLICY_VIOLATION, 'unknown network'],
  limit: [TRY_AGAIN_LATER, 'too many connections'],
  takeover: [POLICY_VIOLATION, 'address taken over by a newer connection'],
  changed: [SERVICE_RESTART, 'the network has changed'],
  routes: [SERVICE_RESTART, 'the routes have changed'],
  removed: [SERVICE_RESTART, 'the network is no more'],
  stopping: [GOING_AWAY, 'the relay is stopping'],
  done: [NORMAL, '']
} as const satisfies Record<string, readonly [code: number, text: string]>

/** The reason for the end of a connection. */
export type Closing = keyof typeof FRAMES

/** Closes a connection with a reason. */
export function closeFor (link: Pick<WebSocketLink, 'close'>, reason: Closing): void {
  const [code, text] = FRAMES[reason]
  link.close(code, text)
}

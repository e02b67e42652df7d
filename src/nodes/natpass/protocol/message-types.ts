/** Types of messages and links by their numbers (natpass protocol, section 1.5, and section 6 for those of tunpipe). */

export const MessageType = {
  handshake: 1,
  keepalive: 2,
  connectReq: 3,
  connectRep: 4,
  disconnect: 5,
  forward: 6,
  shellResize: 10,
  shellData: 11,
  vncControl: 20,
  vncImage: 21,
  vncMouse: 22,
  vncKeyboard: 23,
  vncCad: 24,
  vncScroll: 25,
  vncClipboard: 26,
  codeRequest: 30,
  codeResponseHeader: 31,
  codeResponseBody: 32,
  codeConnect: 33,
  codeConnectResponse: 34,
  codeData: 35,
  /** Between tunpipe's own ends: credit for a link. */
  window: 100,
  /** Between tunpipe's own ends: the sender writes nothing more to a link. */
  end: 101,
  /** Between tunpipe's own ends: how the program of a shell has ended. */
  exit: 102,
  /** Between tunpipe's own ends: a piece of the body of a request to code-server. */
  codeRequestBody: 103,
  /** Between tunpipe's own ends: credit for one direction of a request to code-server. */
  codeWindow: 104
} as const

const { vncControl, vncImage, vncMouse, vncKeyboard, vncCad, vncScroll, vncClipboard } = MessageType
const { codeRequest, codeResponseHeader, codeResponseBody, codeConnect, codeConnectResponse, codeData, codeRequestBody, codeWindow } = MessageType

/** Types of the messages of a desktop, and of code-server. */
export const DESKTOP_TYPES: ReadonlySet<number> = new Set([vncControl, vncImage, vncMouse, vncKeyboard, vncCad, vncScroll, vncClipboard])
export const CODE_TYPES: ReadonlySet<number> = new Set([codeRequest, codeResponseHeader, codeResponseBody, codeConnect, codeConnectResponse, codeData, codeRequestBody, codeWindow])

/** What a link may be for (natpass protocol, section 1.5). */
export type LinkType = 'tcp' | 'udp' | 'shell' | 'vnc' | 'bench' | 'code'

/** By the number in a connect_request. */
export const LINK_TYPES: readonly LinkType[] = ['tcp', 'udp', 'shell', 'vnc', 'bench', 'code']

/** The id that means the relay. */
export const SERVER = 'server'

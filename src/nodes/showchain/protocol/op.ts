/** Op codes (SHOW CHAIN protocol, section 2.1). */

export const Op = {
  keepAlive: 0x100,
  directRequest: 0x101,
  directResponse: 0x102,
  natRequest: 0x111,
  passRequest: 0x112,
  response: 0x113,
  responseAck: 0x114,
  passResponseAck: 0x115,
  proxyRequest: 0x121,
  proxyResponse: 0x122,
  dataRequest: 0x123,
  passData: 0x124,
  dataAck: 0x125
} as const

export type OpName = keyof typeof Op
export type OpCode = typeof Op[OpName]

const NAMES = new Map(Object.entries(Op).map(([name, op]) => [op as number, name as OpName]))

/** The name of an op code, for counters and captures; undefined for one that is not in the table. */
export const opName = (op: number): OpName | undefined => NAMES.get(op)

/**
 * A reader of pcapng (draft-ietf-opsawg-pcapng) that knows nothing of the encoder and forgives nothing: each block has its
 * length at both ends, padding is zeros, options are in order and end, and nothing is left over.
 */

export interface Option {
  code: number
  value: Buffer
}

export interface Block {
  type: number
  /** What is between the two lengths. */
  body: Buffer
}

export interface ReadInterface {
  linkType: number
  snapLength: number
  name: string | undefined
  /** `if_tsresol`: timestamps count 10^-so many seconds. */
  resolution: number | undefined
}

export interface ReadPacket {
  interfaceId: number
  timestamp: bigint
  direction: 'in' | 'out' | undefined
  /** As long as it was before it was cut. */
  originalLength: number
  data: Buffer
}

export interface ReadStatistics {
  interfaceId: number
  timestamp: bigint
  received: bigint | undefined
  dropped: bigint | undefined
}

export interface ReadCapture {
  version: [number, number]
  hardware: string | undefined
  os: string | undefined
  application: string | undefined
  interfaces: ReadInterface[]
  packets: ReadPacket[]
  statistics: ReadStatistics[]
}

function check (condition: boolean, complaint: string): asserts condition {
  if (!condition) throw new Error(`no pcapng: ${complaint}`)
}

/** The blocks of a file, their frames checked. */
export function readBlocks (file: Buffer): Block[] {
  const blocks: Block[] = []
  for (let at = 0; at < file.length;) {
    check(file.length - at >= 12, `${file.length - at} bytes at ${at} are no block`)
    const length = file.readUInt32LE(at + 4)
    check(length >= 12 && length % 4 === 0 && at + length <= file.length, `a block of ${length} bytes at ${at}, of ${file.length}`)
    check(file.readUInt32LE(at + length - 4) === length, `the block at ${at} ends in another length`)
    blocks.push({ type: file.readUInt32LE(at), body: file.subarray(at + 8, at + length - 4) })
    at += length
  }
  return blocks
}

/** A value and its padding; returns the value and where the padding ends. */
function readPadded (body: Buffer, at: number, length: number): [Buffer, number] {
  const end = at + Math.ceil(length / 4) * 4
  check(end <= body.length, `${length} bytes at ${at} of a block of ${body.length}`)
  check(body.subarray(at + length, end).every((byte) => byte === 0), 'padding is not zero')
  return [body.subarray(at, at + length), end]
}

export function readOptions (body: Buffer, start: number): Option[] {
  const options: Option[] = []
  for (let at = start; at < body.length;) {
    check(body.length - at >= 4, 'an option is cut')
    const code = body.readUInt16LE(at)
    const length = body.readUInt16LE(at + 2)
    if (code === 0) {
      check(length === 0 && at + 4 === body.length, 'something is behind the end of the options')
      return options
    }
    const [value, end] = readPadded(body, at + 4, length)
    options.push({ code, value })
    at = end
  }
  throw new Error('no pcapng: the options do not end')
}

/** The value of an option that is there once or not at all, and of this length if that is fixed. */
function one (options: Option[], code: number, length?: number): Buffer | undefined {
  const found = options.filter((option) => option.code === code)
  check(found.length <= 1, `option ${code} is there ${found.length} times`)
  const value = found[0]?.value
  check(value === undefined || length === undefined || value.length === length, `option ${code} has ${value?.length} bytes`)
  return value
}

const timestampAt = (body: Buffer, at: number): bigint => (BigInt(body.readUInt32LE(at)) << 32n) | BigInt(body.readUInt32LE(at + 4))

/** A whole file of one little-endian section. */
export function readCapture (file: Buffer): ReadCapture {
  const [first, ...rest] = readBlocks(file)
  check(first?.type === 0x0a0d0d0a, 'it does not begin with a section header')
  check(first.body.readUInt32LE(0) === 0x1a2b3c4d, 'it is not little-endian')
  check(first.body.readBigInt64LE(8) === -1n, 'it claims to know its length')
  const about = readOptions(first.body, 16)
  const result: ReadCapture = {
    version: [first.body.readUInt16LE(4), first.body.readUInt16LE(6)],
    hardware: one(about, 2)?.toString(),
    os: one(about, 3)?.toString(),
    application: one(about, 4)?.toString(),
    interfaces: [],
    packets: [],
    statistics: []
  }
  for (const { type, body } of rest) {
    if (type === 1) result.interfaces.push(readInterface(body))
    else if (type === 5) result.statistics.push(readStatistics(body))
    else if (type === 6) result.packets.push(readPacket(body, result.interfaces))
    else throw new Error(`no pcapng of ours: a block of type ${type}`)
  }
  for (const { interfaceId } of result.statistics) check(interfaceId < result.interfaces.length, `statistics of interface ${interfaceId}`)
  return result
}

function readInterface (body: Buffer): ReadInterface {
  check(body.readUInt16LE(2) === 0, 'a reserved field is not zero')
  const options = readOptions(body, 8)
  return {
    linkType: body.readUInt16LE(0),
    snapLength: body.readUInt32LE(4),
    name: one(options, 2)?.toString(),
    resolution: one(options, 9, 1)?.[0]
  }
}

function readPacket (body: Buffer, interfaces: ReadInterface[]): ReadPacket {
  const interfaceId = body.readUInt32LE(0)
  check(interfaceId < interfaces.length, `a packet of interface ${interfaceId}, before that is described`)
  const captured = body.readUInt32LE(12)
  const originalLength = body.readUInt32LE(16)
  const { snapLength } = interfaces[interfaceId]
  check(captured === Math.min(originalLength, snapLength === 0 ? Infinity : snapLength), `${captured} of ${originalLength} bytes with a limit of ${snapLength}`)
  const [data, end] = readPadded(body, 20, captured)
  const flags = one(readOptions(body, end), 2, 4)?.readUInt32LE() ?? 0
  check(flags <= 2, `flags ${flags}`)
  return { interfaceId, timestamp: timestampAt(body, 4), direction: ([undefined, 'in', 'out'] as const)[flags], originalLength, data }
}

function readStatistics (body: Buffer): ReadStatistics {
  const options = readOptions(body, 12)
  return {
    interfaceId: body.readUInt32LE(0),
    timestamp: timestampAt(body, 4),
    received: one(options, 4, 8)?.readBigUInt64LE(),
    dropped: one(options, 5, 8)?.readBigUInt64LE()
  }
}

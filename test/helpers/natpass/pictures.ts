/** Pictures for tests. */

/** The head of a JPEG: it has a size and nothing to see. @param frame - its marker; @param before - other segments */
export function jpegOf (width: number, height: number, frame = 0xc0, before: Uint8Array = new Uint8Array(0)): Buffer {
  const segment = Buffer.from('ffc0000b080000000001011100', 'hex')
  segment[1] = frame
  segment.writeUInt16BE(height, 5)
  segment.writeUInt16BE(width, 7)
  return Buffer.concat([Buffer.of(0xff, 0xd8), before, segment, Buffer.of(0xff, 0xd9)])
}

/** Frames of key exchanges as RustDesk has them: field 25 of a message, in it a list of keys. For keys of up to 127 bytes. */
import { CodedError } from '../../../src/errors.ts'
import type { KeyExchangeFrames } from '../../../src/transforms/index.ts'

class BadFrame extends CodedError<'ERR_TEST_FRAME'> {}

export const frames: KeyExchangeFrames = {
  read (frame) {
    if (frame[0] !== 0xca || frame[1] !== 0x01) return undefined
    const keys = []
    let at = 3
    if (frame[2] !== frame.length - at) throw new BadFrame('ERR_TEST_FRAME', 'another length')
    while (at < frame.length) {
      const end = at + 2 + frame[at + 1]
      if (frame[at] !== 0x0a || end > frame.length) throw new BadFrame('ERR_TEST_FRAME', 'no key')
      keys.push(frame.subarray(at + 2, end))
      at = end
    }
    return keys
  },
  write (keys) {
    const list = Buffer.concat(keys.flatMap((key) => [Buffer.of(0x0a, key.length), key]))
    return Buffer.concat([Buffer.of(0xca, 0x01, list.length), list])
  }
}

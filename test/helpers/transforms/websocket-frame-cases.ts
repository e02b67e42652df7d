/** RFC 6455 as raw bytes: what comes, and what a decoder makes of it. */
import type { FrameDecoderInit } from '../../../src/transforms/websocket-frames/index.ts'

export interface Case {
  name: string
  /** Hex; `|` stands where the stream may end, `*n` repeats the byte before it. */
  wire: string
  /** `server`, which takes masked frames, where it matters. Default: `client`. */
  role?: 'server'
  init?: Partial<FrameDecoderInit>
  /** Text is refused unless this is set. */
  takesText?: boolean
  /** Binary messages in hex, `*n` as above. */
  messages?: string[]
  /** Everything else, in its order: `text Hello`, `ping 48656c6c6f`, `pong `, `close 1000 reason`. */
  events?: string[]
  /** The close code of the failure. */
  fails?: number
}

/** `00*3` is three zero bytes. */
export const expand = (text: string): string =>
  text.replaceAll(/(..)\*(\d+)/g, (_all, byte: string, times: string) => byte.repeat(Number(times))).replaceAll(/\s|\|/g, '')

/** Where the stream may end, in bytes. */
export function ends (wire: string): Set<number> {
  const parts = wire.split('|').slice(0, -1)
  let at = 0
  return new Set([0, ...parts.map((part) => (at += expand(part).length / 2))])
}

export const cases: Case[] = [
  // Section 5.7, in its order.
  { name: '5.7: unmasked text', wire: '81 05 48656c6c6f |', takesText: true, events: ['text Hello'] },
  { name: '5.7: masked text', role: 'server', wire: '81 85 37fa213d 7f9f4d5158 |', takesText: true, events: ['text Hello'] },
  { name: '5.7: fragmented text', wire: '01 03 48656c 80 02 6c6f |', takesText: true, events: ['text Hello'] },
  { name: '5.7: unmasked ping', wire: '89 05 48656c6c6f |', events: ['ping 48656c6c6f'] },
  { name: '5.7: masked pong', role: 'server', wire: '8a 85 37fa213d 7f9f4d5158 |', events: ['pong 48656c6c6f'] },
  { name: '5.7: 256 bytes', wire: '82 7e 0100 61*256 |', messages: ['61*256'] },
  { name: '5.7: 64 KiB', wire: '82 7f 0000000000010000 61*65536 |', messages: ['61*65536'] },

  // Lengths.
  { name: 'an empty message', wire: '82 00 |', messages: [''] },
  { name: 'an empty masked message', role: 'server', wire: '82 80 01020304 | 82 81 01020304 60 |', messages: ['', '61'] },
  { name: '125 bytes', wire: '82 7d 61*125 |', messages: ['61*125'] },
  { name: '126 bytes', wire: '82 7e 007e 61*126 |', messages: ['61*126'] },
  { name: '65535 bytes', wire: '82 7e ffff 61*65535 |', messages: ['61*65535'] },
  { name: '125 bytes in 16 bits', wire: '82 7e 007d 61*125', fails: 1002 },
  { name: 'no bytes in 16 bits', wire: '82 7e 0000', fails: 1002 },
  { name: '65535 bytes in 64 bits', wire: '82 7f 000000000000ffff 61*200', fails: 1002 },
  { name: 'the highest bit of 64', wire: '82 7f 8000000000000000', fails: 1002 },
  { name: 'all bits of 64', wire: '82 7f ffffffffffffffff', fails: 1002 },
  { name: '2^63 - 1 bytes', wire: '82 7f 7fffffffffffffff', fails: 1009 },
  { name: '2^53 bytes and one', wire: '82 7f 0020000000000001', fails: 1009 },
  { name: '4 GiB', wire: '82 7f 0000000100000000', fails: 1009 },
  { name: 'one byte over 64 KiB, refused at its header', wire: '82 7f 0000000000010001', fails: 1009 },
  { name: 'a masked one is refused before its key', role: 'server', wire: '82 ff 0000000000010001', fails: 1009 },
  { name: 'a limit', init: { maxPayload: 130 }, wire: '82 7e 0082 61*130 | 82 7e 0083 61', messages: ['61*130'], fails: 1009 },
  { name: 'a limit over fragments', init: { maxPayload: 130 }, wire: '02 7d 61*125 00 05 62*5 00 01', fails: 1009 },
  { name: 'just the limit in fragments', init: { maxPayload: 130 }, wire: '02 7d 61*125 80 05 62*5 |', messages: ['61*125 62*5'] },

  // Masks, section 5.1.
  { name: 'a client refuses masks', wire: '82 81 00000000 61', fails: 1002 },
  { name: 'a server demands masks', role: 'server', wire: '82 01 61', fails: 1002 },
  { name: 'a server demands masks, also of a ping', role: 'server', wire: '89 00', fails: 1002 },
  { name: 'a key of zeros', role: 'server', wire: '82 83 00000000 616263 |', messages: ['616263'] },
  { name: 'a key with the sign bit', role: 'server', wire: '82 83 ffeeddcc 9e8cbe |', messages: ['616263'] },
  { name: 'a long masked message', role: 'server', wire: '82 fe 0080 01020304 60*128 |', messages: ['61626364'.repeat(32)] },
  { name: 'unmasked, tolerated', role: 'server', init: { tolerate: { unmasked: true } }, wire: '82 01 61 | 82 81 01020304 60 | 89 00 |', messages: ['61', '61'], events: ['ping '] },
  { name: 'unmasked is all that is tolerated then', role: 'server', init: { tolerate: { unmasked: true } }, wire: 'c2 01 61', fails: 1002 },
  { name: 'a client does not tolerate masks', init: { tolerate: { unmasked: true } }, wire: '82 81 01020304 60', fails: 1002 },

  // The first byte, section 5.2.
  ...['c2', 'a2', '92', 'f2', 'c9', '42'].map((first) => ({ name: `reserved bits: ${first}`, wire: `82 01 61 | ${first} 00`, messages: ['61'], fails: 1002 })),
  ...['83', '84', '85', '86', '87', '8b', '8c', '8d', '8e', '8f', '03', '0b'].map((first) => ({ name: `unknown opcode: ${first}`, wire: `82 01 61 | ${first} 00`, messages: ['61'], fails: 1002 })),

  // Fragments, section 5.4.
  { name: 'three fragments', wire: '02 01 61 00 01 62 80 01 63 | 82 01 64 |', messages: ['616263', '64'] },
  { name: 'masked fragments have keys of their own', role: 'server', wire: '02 81 01020304 60 80 82 ff000000 9d63 |', messages: ['616263'] },
  { name: 'empty fragments', wire: '02 00 00 00 80 00 |', messages: [''] },
  { name: 'an empty last fragment', wire: '02 01 61 80 00 |', messages: ['61'] },
  { name: 'control frames between fragments', wire: '02 01 61 89 01 70 00 01 62 8a 01 71 80 01 63 |', messages: ['616263'], events: ['ping 70', 'pong 71'] },
  { name: 'a close frame between fragments', wire: '02 01 61 88 02 03e8 |', events: ['close 1000 '] },
  { name: 'a continuation of nothing', wire: '80 01 61', fails: 1002 },
  { name: 'an unfinished continuation of nothing', wire: '00 01 61', fails: 1002 },
  { name: 'a continuation of a whole message', wire: '82 01 61 | 80 01 62', messages: ['61'], fails: 1002 },
  { name: 'a message inside a message', wire: '02 01 61 82 01 62', fails: 1002 },
  { name: 'text inside a message', wire: '02 01 61 01 01 62', takesText: true, fails: 1002 },
  { name: 'a limit of fragments', init: { maxFragments: 3 }, wire: '02 01 61 00 01 62 80 01 63 | 02 00 00 00 00 00 89 00 00 00', messages: ['616263'], events: ['ping '], fails: 1008 },
  { name: 'no fragments at all', init: { maxFragments: 1 }, wire: '82 01 61 | 02 01 61 80 00', messages: ['61'], fails: 1008 },

  // Control frames, section 5.5.
  { name: 'a fragmented ping', wire: '09 00', fails: 1002 },
  { name: 'a fragmented close', wire: '08 00', fails: 1002 },
  { name: 'a ping of 125 bytes', wire: '89 7d 61*125 |', events: ['ping ' + '61'.repeat(125)] },
  { name: 'a ping of 126 bytes', wire: '89 7e 007e 61*126', fails: 1002 },
  { name: 'a ping of 64 KiB', wire: '89 7f 0000000000010000', fails: 1002 },
  { name: 'a close frame of 126 bytes', wire: '88 7e 007e 03e8 61*124', fails: 1002 },
  { name: 'a pong of 1500 bytes', wire: '8a 7e 05dc 61*1500', fails: 1002 },
  { name: 'a pong of 1500 bytes, tolerated', init: { tolerate: { longControl: true } }, wire: '8a 7e 05dc 61*1500 | 82 01 62 |', messages: ['62'], events: ['pong ' + '61'.repeat(1500)] },
  { name: 'a tolerated one keeps to the limit', init: { tolerate: { longControl: true } }, wire: '8a 7f 0000000000010001', fails: 1009 },
  { name: 'a tolerated one is not fragmented', init: { tolerate: { longControl: true } }, wire: '0a 7e 05dc', fails: 1002 },

  // Text.
  { name: 'text that nobody takes', wire: '82 01 61 | 81 05', messages: ['61'], fails: 1003 },
  { name: 'fragmented text that nobody takes', wire: '01 01', fails: 1003 },
  { name: 'text in UTF-8', wire: '81 0b ceba e1bdb9 cf83 cebc ceb5 |', takesText: true, events: ['text \u03ba\u1f79\u03c3\u03bc\u03b5'] },
  { name: 'a letter cut between fragments', wire: '01 01 ce 80 01 ba |', takesText: true, events: ['text κ'] },
  { name: 'empty text', wire: '81 00 |', takesText: true, events: ['text '] },
  { name: 'a surrogate in text', wire: '81 03 eda080', takesText: true, fails: 1007 },
  { name: 'a cut letter in text', wire: '82 01 61 | 81 01 ce', takesText: true, messages: ['61'], fails: 1007 },
  { name: 'a letter in too many bytes', wire: '01 01 c0 80 01 af', takesText: true, fails: 1007 },
  { name: 'text and messages in turns', wire: '81 01 61 | 82 01 62 | 81 01 63 |', takesText: true, messages: ['62'], events: ['text a', 'text c'] },

  // Close, sections 5.5.1 and 7.4.
  { name: 'a close frame without a code', wire: '82 01 61 | 88 00 |', messages: ['61'], events: ['close 1005 '] },
  { name: 'a close frame of one byte', wire: '88 01 03', fails: 1002 },
  { name: 'a close frame with a code', wire: '88 02 03e8 |', events: ['close 1000 '] },
  { name: 'a masked close frame', role: 'server', wire: '88 82 01020304 02ea |', events: ['close 1000 '] },
  { name: 'a close frame with a reason', wire: '88 05 03e9 627965 |', events: ['close 1001 bye'] },
  { name: 'a reason of 123 bytes', wire: '88 7d 1387 61*123 |', events: ['close 4999 ' + 'a'.repeat(123)] },
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999].map((code) => ({ name: `code ${code}`, wire: `88 02 ${code.toString(16).padStart(4, '0')} |`, events: [`close ${code} `] })),
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 26992, 65535].map((code) => ({ name: `code ${code}`, wire: `88 02 ${code.toString(16).padStart(4, '0')}`, fails: 1002 })),
  { name: 'a reason that is not UTF-8', wire: '88 04 03e8 c080', fails: 1007 },
  { name: 'after a close frame everything is ignored', wire: '82 01 61 88 02 03e8 82 01 62 89 00 ffffffff 88 00', messages: ['61'], events: ['close 1000 '] },
  { name: 'a raw reason', wire: '88 0b 697020636f6e666c696374', fails: 1002 },
  { name: 'a raw reason, tolerated', init: { tolerate: { rawClose: true } }, wire: '88 0b 697020636f6e666c696374 |', events: ['close 1005 ip conflict'] },
  { name: 'a raw reason of one byte', init: { tolerate: { rawClose: true } }, wire: '88 01 78 |', events: ['close 1005 x'] },
  { name: 'a true code is still read', init: { tolerate: { rawClose: true } }, wire: '88 05 03e9 627965 |', events: ['close 1001 bye'] },
  { name: 'no reason at all', init: { tolerate: { rawClose: true } }, wire: '88 00 |', events: ['close 1005 '] },

  // What came before a fault counts.
  { name: 'messages before a fault', wire: '82 01 61 | 89 01 70 | 82 02 6262 | 88 02 0000', messages: ['61', '6262'], events: ['ping 70'], fails: 1002 }
]

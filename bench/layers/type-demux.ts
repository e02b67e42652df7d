/** What it costs to find a handler by the first byte: the table against a switch, a Map and no choice at all. */
import { typeDemux, type Handler } from '../../src/transforms/index.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'

const MESSAGES = 4096
const TYPES = [0, 1, 2, 4, 5, 255] // candy's

interface Counts { [type: number]: number }

const handlers: Array<[number, Handler<Counts>]> = TYPES.map((type) => [type, (message, counts) => { counts[type] += message.length }])
const [[, first], [, second], [, third], [, fourth], [, fifth], [, sixth]] = handlers
const ignore = (): void => {}

function bySwitch (message: Uint8Array, counts: Counts): void {
  switch (message[0]) {
    case 0: first(message, counts); break
    case 1: second(message, counts); break
    case 2: third(message, counts); break
    case 4: fourth(message, counts); break
    case 5: fifth(message, counts); break
    case 255: sixth(message, counts); break
    default: ignore()
  }
}

const map = new Map(handlers)

function byMap (message: Uint8Array, counts: Counts): void {
  (map.get(message[0]) ?? ignore)(message, counts)
}

const rivals: Array<[string, Handler<Counts>]> = [
  ['table', typeDemux(Object.fromEntries(handlers), { unknown: ignore })],
  ['table, typeOf given', typeDemux(Object.fromEntries(handlers), { typeOf: (message) => message[0], unknown: ignore })],
  ['switch', bySwitch],
  ['Map', byMap],
  ['one handler, no choice', second]
]

const fresh = (): Counts => Object.fromEntries(TYPES.map((type) => [type, 0]))
const mixes = {
  'one type': Array.from({ length: MESSAGES }, () => Uint8Array.of(1, 1, 2, 3)),
  'all types': Array.from({ length: MESSAGES }, (_, i) => Uint8Array.of(TYPES[(i * 7 + (i >> 3)) % TYPES.length], 1, 2, 3))
}

export async function typeDemuxBench (run: Run): Promise<void> {
  const warm = fresh()
  // every rival sees every type first, or the one that is measured first gains from having met one handler only
  for (let i = 0; i < 20; i++) {
    for (const [, demux] of rivals) {
      for (const message of mixes['all types']) demux(message, warm)
    }
  }

  for (const [mix, messages] of Object.entries(mixes)) {
    const [ours, ...others] = rivals.map(([name, demux]) => {
      const counts = fresh()
      const run = (): number => {
        for (const message of messages) demux(message, counts)
        return MESSAGES
      }
      return { name, run }
    })
    await measure(run, { bench: 'type-demux', params: { mix }, unit: 'message', ...ours }, ...others)
  }
}

/** Two multiplexers, hundreds of links, random actions, against what has to come out. */
import t from 'tap'
import { random, SEED } from '../../helpers/bytes.ts'
import { turn } from '../../helpers/ends.ts'
import { pieces } from '../../helpers/links.ts'
import { sample } from '../../helpers/sample.ts'
import { muxPair, OK, type BytesOpening } from '../../helpers/transforms/link-mux.ts'
import { LinkResetError } from '../../../src/errors.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { wrapLink } from '../../../src/streams/wrap-link.ts'
import type { MuxLink } from '../../../src/transforms/link-mux/index.ts'
import type { Batch, Link } from '../../../src/types.ts'

const ROUNDS = sample('rounds of 200 links', { short: 4, long: 200 })
const LINKS = 200

/** What one end of a link does, and what the other one has to see. */
interface Plan {
  up: Uint8Array[]
  down: Uint8Array[]
  /** Who aborts, and after how many bytes were read; undefined: nobody. */
  aborts?: { side: 'opener' | 'acceptor', after: number, reason: number }
  refuses: boolean
  messages: boolean
  slow: number
}

/** The same link, whose reads come in pieces of other sizes. */
function cut (link: Link, sizes: number[]): Link {
  async function * source (): AsyncGenerator<Batch> {
    for await (const batch of link.source) for (const piece of pieces(Buffer.concat(batch), sizes)) yield [piece]
  }
  return wrapLink(link, { source: source() })
}

const content = (below: (n: number) => number): Uint8Array[] => Array.from({ length: below(12) }, () => {
  const fill = below(256)
  return new Uint8Array(below(4) === 0 ? below(16_000) : below(300)).map((_, i) => fill + i)
})

function planOf (below: (n: number) => number, credit: boolean): Plan {
  return {
    up: content(below),
    down: content(below),
    aborts: below(5) === 0 ? { side: below(2) === 0 ? 'opener' : 'acceptor', after: below(20_000), reason: 64 + below(100) } : undefined,
    refuses: below(10) === 0,
    messages: credit && below(5) === 0, // without credit a slow reader would lose some
    slow: below(4) === 0 ? below(20) : 0
  }
}

interface Seen { bytes: Buffer, messages: number, error: (Error & { code?: string, reason?: number }) | undefined }

async function read (link: MuxLink, { slow }: Plan, stopAfter: number, stop: () => void): Promise<Seen> {
  const all: Uint8Array[] = []
  let length = 0
  let error
  try {
    if (stopAfter === 0) stop()
    for await (const batch of link.source) {
      for (const bytes of batch) {
        all.push(Uint8Array.from(bytes))
        length += bytes.length
      }
      for (let i = 0; i < slow; i++) await turn()
      if (length >= stopAfter) stop()
    }
  } catch (err) {
    error = err as Error
  }
  return { bytes: Buffer.concat(all), messages: all.length, error }
}

async function * say (all: Uint8Array[], below: (n: number) => number): AsyncGenerator<Batch> {
  for (let at = 0; at < all.length;) {
    const count = 1 + below(3)
    yield all.slice(at, at + count)
    at += count
    if (below(3) === 0) await turn()
  }
}

/** Runs one end to its end; returns what it has seen. */
async function end (link: MuxLink, plan: Plan, side: 'opener' | 'acceptor', below: (n: number) => number): Promise<Seen> {
  const { aborts } = plan
  const reason = new LinkResetError('planned', aborts?.reason)
  const stop = (): void => { link.abort(reason) }
  const writing = link.sink(say(side === 'opener' ? plan.up : plan.down, below)).catch(() => {})
  const seen = await read(link, plan, aborts?.side === side ? aborts.after : Infinity, stop)
  await writing
  return seen
}

/** Undefined when what was seen is what had to be: all, or a beginning and the error of an abort. */
function wrong (seen: Seen, sent: Uint8Array[], plan: Plan, side: 'opener' | 'acceptor', credit: boolean): string | undefined {
  const whole = Buffer.concat(sent)
  const isAborter = plan.aborts?.side === side
  if (!seen.bytes.equals(whole.subarray(0, seen.bytes.length))) return 'other bytes'
  if (seen.error !== undefined) {
    if (plan.aborts === undefined) return `an error: ${String(seen.error)}`
    if (seen.error.code !== 'ERR_LINK_RESET' || seen.error.reason !== plan.aborts.reason) return `another error: ${String(seen.error)}`
    return undefined
  }
  const mayBeShort = !credit || (isAborter && plan.aborts !== undefined) // without half-close, whoever ends first ends both
  if (seen.bytes.length < whole.length && !mayBeShort) return `${seen.bytes.length} of ${whole.length} bytes`
  if (plan.messages && seen.bytes.length === whole.length && seen.messages > sent.length) return 'messages were split'
  return undefined
}

for (const credit of [true, false]) {
  t.test(credit ? 'with credit' : 'without credit', async (t) => {
    for (let round = 0; round < ROUNDS; round++) {
      const below = random(1000 * round + (credit ? 1 : 2))
      const sizes = Array.from({ length: 1 + below(4) }, () => 1 + below(20_000))
      const lower = memoryPair().map((link) => cut(link, sizes)) as [Link, Link]
      const plans = new Map<string, Plan>()
      const accepted: Array<Promise<void>> = []
      const faults: string[] = []
      const onOpen = async (opening: BytesOpening): Promise<void> => {
        const name = Buffer.from(opening.request).toString()
        const plan = plans.get(name) as Plan
        for (let i = below(4); i > 0; i--) await turn()
        if (plan.refuses) {
          opening.reject(64, opening.request)
          return
        }
        const link = opening.accept(OK, { messages: plan.messages })
        accepted.push(end(link, plan, 'acceptor', below).then((seen) => {
          const fault = wrong(seen, plan.up, plan, 'acceptor', credit)
          if (fault !== undefined) faults.push(`${name}, acceptor: ${fault}`)
        }))
      }
      const { client, server } = muxPair(t, { codec: { credit }, onOpen, lower, maxHalfOpen: LINKS, window: 20_000 + below(100_000) })
      await Promise.all(Array.from({ length: LINKS }, async (_, i) => {
        const name = `link ${i}`
        const plan = planOf(below, credit)
        plans.set(name, plan)
        for (let wait = below(50); wait > 0; wait--) await turn()
        const link = await client.open(Buffer.from(name), { messages: plan.messages }).catch((err) => {
          if (!plan.refuses || err.code !== 'ERR_LINK_REFUSED' || err.reason !== 64 || Buffer.from(err.response).toString() !== name) faults.push(`${name}: ${String(err)}`)
          return undefined
        })
        if (link === undefined) return
        if (plan.refuses) faults.push(`${name}: not refused`)
        const seen = await end(link, plan, 'opener', below)
        const fault = wrong(seen, plan.down, plan, 'opener', credit)
        if (fault !== undefined) faults.push(`${name}, opener: ${fault}`)
      }))
      await Promise.all(accepted)
      t.same(faults, [], `round ${round}, seed ${SEED}`)
      client.close()
      t.same(await Promise.all([client.ended, server.ended]), [undefined, undefined])
      t.same([client.links, server.links, client.halfOpen, server.halfOpen, client.unread, server.unread], [0, 0, 0, 0, 0, 0])
    }
  })
}

/** Two ends of a pair: keys that are checked in for tests, a socket, and what is above it. */
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { loadSealing, loadSha256 } from '../../dist/src/crypto/index.js'
import { Identity } from '../../dist/src/nodes/showchain/protocol/identity.js'
import { PublicKeys } from '../../dist/src/nodes/showchain/protocol/public-keys.js'
import { Indexes } from '../../dist/src/nodes/showchain/peer/indexes.js'
import { RequesterPair, TargetPair } from '../../dist/src/nodes/showchain/peer/pair.js'
import { systemClock } from '../../dist/src/streams/clock.js'

const keys = JSON.parse(readFileSync(new URL('../../test/vectors/showchain-keys.json', import.meta.url), 'utf8'))

const identity = (name) => new Identity(createPrivateKey({ key: Buffer.from(keys.find((key) => key.name === name).private, 'base64'), format: 'der', type: 'pkcs8' }))

export const [requester, target] = ['a', 'b'].map(identity)
export const sha256 = await loadSha256()
export const clock = systemClock

const common = { clock, sealing: await loadSealing(), keys: new PublicKeys(), indexes: new Indexes() }

/** T, which reads all that comes, and counts the bytes. */
export function receiver () {
  const counted = { bytes: 0 }
  const pair = new TargetPair({
    ...common,
    identity: target,
    other: requester.id,
    onOpen: (opening) => {
      const link = opening.accept(new Uint8Array(0))
      link.flow((batch) => { for (const bytes of batch) counted.bytes += bytes.length }).catch(() => {})
    }
  })
  return { pair, counted }
}

/** R, which sends while it is told to. */
export function sender () {
  const pair = new RequesterPair({ ...common, identity: requester, other: target.id })
  const block = Buffer.alloc(64 << 10, 'tunpipe ')
  const state = { isOn: false, wake: () => {} }
  async function * source () {
    for (;;) {
      if (state.isOn) yield [block]
      else await new Promise((resolve) => { state.wake = resolve })
    }
  }
  const turn = (isOn) => {
    state.isOn = isOn
    state.wake()
  }
  const start = async () => { (await pair.open()).sink(source()).catch((err) => { console.error(err) }) }
  return { pair, turn, start }
}

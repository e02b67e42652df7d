/** Frames sealed and opened as secret boxes: the layer by libsodium, against the layer in JavaScript, and a function for each frame without a layer. */
import { randomFillSync } from 'node:crypto'
import nacl from 'tweetnacl'
import { loadNacl, type Nacl } from '../../src/crypto/index.ts'
import { tweetNacl } from '../../src/crypto/nacl/tweetnacl.ts'
import { SecretboxDecoder, SecretboxEncoder } from '../../src/transforms/index.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'

const unit = 'frame'
const KEY = randomFillSync(Buffer.alloc(32))
const FRAMES = 32

interface Way {
  name: string
  seal (batch: Uint8Array[]): Uint8Array[]
  open (batch: Uint8Array[]): void
}

const layer = (nacl: Nacl): Way => {
  const settings = { nacl, keys: KEY, clear: 1 }
  const encoder = new SecretboxEncoder(settings)
  return {
    name: `tunpipe, ${nacl.implementation}`,
    seal: (batch) => encoder.push(batch),
    open (batch) { // from the start each time, as the frames are the same
      const decoder = new SecretboxDecoder(settings)
      if (decoder.push(batch).length < batch.length) throw new Error('not authentic')
    }
  }
}

/** The straightforward way: a nonce and a frame for each. */
const plain: Way = {
  name: 'tweetnacl alone',
  seal: (batch) => batch.map((payload, i) => nacl.secretbox(payload, nonceOf(i + 1), KEY)),
  open (batch) {
    for (const [i, frame] of batch.entries()) if (nacl.secretbox.open(frame, nonceOf(i + 1), KEY) === null) throw new Error('not authentic')
  }
}

function nonceOf (counter: number): Uint8Array {
  const nonce = new Uint8Array(24)
  new DataView(nonce.buffer).setUint32(0, counter, true)
  return nonce
}

export async function secretboxBench (run: Run): Promise<void> {
  const loaded = await loadNacl()
  if (loaded.problem !== undefined) run.leaveOut('secretbox by sodium-native', loaded.problem.message)
  const ways = [layer(loaded), ...loaded.problem === undefined ? [layer(tweetNacl(nacl))] : [], plain]
  for (const size of [64, 1400, 16_384]) {
    const batch: Uint8Array[] = Array.from({ length: FRAMES }, () => Buffer.alloc(size, 'tunpipe '))
    const sealed = layer(loaded).seal(batch)
    for (const way of ['seal', 'open'] as const) {
      const [ours, ...others] = ways.map(({ name, [way]: work }) => ({
        name,
        run () {
          work(way === 'seal' ? batch : sealed.map((frame) => Uint8Array.from(frame))) // opened in place, so a copy for all
          return FRAMES
        }
      }))
      await measure(run, { bench: `secretbox, ${way}`, params: { size }, unit, ...ours }, ...others)
    }
  }
}

/** Datagrams sealed and opened with AES-256-GCM, in a second of processor time: functions of OpenSSL against objects of node:crypto. */
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'
import { loadSealing, randomIvs } from '../../src/crypto/index.ts'
import { beside, type Contestant } from '../lib/row.ts'
import type { Run } from '../lib/run.ts'

const ALGORITHM = 'aes-256-gcm'
const LAYOUT = { iv: 0, tag: 12, text: 28 }
const KEY = Buffer.alloc(32, 'tunpipe ')
const SLICE = 64

interface Candidate extends Contestant {
  seal (): void
  open (): void
}

/** The straightforward way, one object for each. */
function objects (size: number): Candidate {
  const text = Buffer.alloc(size, 'tunpipe ')
  let sealed: Uint8Array
  return {
    name: 'createCipheriv, createDecipheriv',
    seal () {
      const iv = randomFillSync(Buffer.allocUnsafe(12))
      const cipher = createCipheriv(ALGORITHM, KEY, iv)
      const encrypted = cipher.update(text)
      cipher.final()
      sealed = Buffer.concat([iv, cipher.getAuthTag(), encrypted])
    },
    open () {
      const decipher = createDecipheriv(ALGORITHM, KEY, sealed.subarray(0, 12)).setAuthTag(sealed.subarray(12, 28))
      decipher.update(sealed.subarray(28))
      decipher.final()
    }
  }
}

/** The same without the cost of random bytes and of joining, in place: all that is left is that of the objects. */
function bareObjects (size: number): Candidate {
  const bytes = Buffer.alloc(28 + size, 'tunpipe ')
  const [iv, tag, text] = [bytes.subarray(0, 12), bytes.subarray(12, 28), bytes.subarray(28)]
  return {
    name: 'the same with one IV, nothing joined',
    seal () {
      const cipher = createCipheriv(ALGORITHM, KEY, iv)
      text.set(cipher.update(text))
      cipher.final()
      tag.set(cipher.getAuthTag())
    },
    open () {
      const decipher = createDecipheriv(ALGORITHM, KEY, iv).setAuthTag(tag)
      text.set(decipher.update(text))
      decipher.final()
    }
  }
}

/** Of processor time: another program on the machine must not count. */
function rate (slice: () => void, milliseconds: number): number {
  const start = process.cpuUsage()
  let units = 0
  let used = 0
  do {
    slice()
    units += SLICE
    const { user, system } = process.cpuUsage(start)
    used = user + system
  } while (used < milliseconds * 1000)
  return units / used * 1e6
}

export async function sealingBench (run: Run): Promise<void> {
  const { implementation, problem, cipher } = await loadSealing()
  if (problem !== undefined) run.leaveOut('sealing by OpenSSL', problem.message)
  for (const size of [64, 1360]) {
    const ours = cipher({ key: KEY, layout: LAYOUT, ivs: randomIvs() })
    const bytes = Buffer.alloc(28 + size, 'tunpipe ')
    const candidates: Candidate[] = [
      {
        name: `tunpipe, ${implementation}`,
        ours: true,
        seal: () => { ours.seal(bytes) },
        open () { if (!ours.open(bytes)) throw new Error('not authentic') }
      },
      objects(size),
      bareObjects(size)
    ]
    const ways: Array<[name: string, slice: (candidate: Candidate) => void]> = [
      ['seal', ({ seal }) => { for (let i = 0; i < SLICE; i++) seal() }],
      ['seal and open', ({ seal, open }) => { for (let i = 0; i < SLICE; i++) { seal(); open() } }]
    ]
    for (const [way, slice] of ways) {
      const name = `sealing, ${way}, size ${size}`
      const rates = await run.inTurn(name, { rounds: run.rounds(3, 5), warmUps: 1 }, candidates, (candidate) => rate(() => { slice(candidate) }, run.full ? 200 : 40))
      run.add({ name, unit: 'datagram/s of processor time' }, beside(candidates, rates))
    }
    ours.close()
  }
}

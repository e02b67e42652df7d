/** Messages signed by RSA-PSS, as they come in batches: the layer, against `crypto.verify` alone, on this thread and on those of the process. */
import { constants, generateKeyPairSync, sign, verify } from 'node:crypto'
import { bytesOf, CoveredValues, PssKey, PssSigner, signed } from '../../src/transforms/index.ts'
import type { Link, Take } from '../../src/types.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'

interface Message {
  sender: string
  value: Uint8Array
  signature: Uint8Array
}

const BATCHES = [1, 64]
const SENDERS = 16
const VALUE_BYTES = 64

export async function signedBench (run: Run): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [key, signer] = [new PssKey(publicKey), new PssSigner(privateKey)]
  const covered = new CoveredValues<Message>('BENCH/1', { message: [bytesOf(({ value }) => value)] }, () => 'message')
  const input = { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  for (const size of BATCHES) {
    const messages = Array.from({ length: size }, (_, i): Message => {
      const value = Buffer.alloc(VALUE_BYTES, i)
      const message = { sender: String(i % SENDERS), value, signature: value }
      return { ...message, signature: signer.sign(covered.of(message) as Uint8Array) }
    })
    const bytes = messages.map((message) => covered.of(message) as Uint8Array)
    let give: Take<Message> = () => {}
    const lower = { flow: (take: Take<Message>) => new Promise(() => { give = take }), port: { limit: 1 } } as unknown as Link<Message>
    const link = signed<Message>({ covered, signer, signatureOf: ({ signature }) => signature, withSignature: (message) => message, senderOf: ({ sender }) => sender, keyOf: () => key })(lower)
    let left = 0
    let done = (): void => {}
    void link.flow?.((batch) => {
      left -= batch.length
      if (left === 0) done()
    })
    await measure(run, {
      bench: 'signed, verify',
      params: { batch: size },
      unit: 'message',
      name: 'tunpipe',
      run: () => new Promise((resolve) => {
        left = size
        done = () => { resolve(size) }
        void give([...messages])
      })
    }, {
      name: 'crypto.verify on this thread',
      run () {
        return bytes.filter((each, i) => verify('sha256', each, input, messages[i].signature)).length
      }
    }, {
      name: 'crypto.verify on other threads',
      run: () => new Promise((resolve) => {
        let waiting = size
        for (const [i, each] of bytes.entries()) verify('sha256', each, input, messages[i].signature, () => { if (--waiting === 0) resolve(size) })
      })
    })
  }
  const message = Buffer.alloc(VALUE_BYTES)
  await measure(run, {
    bench: 'signed, sign',
    unit: 'message',
    name: 'tunpipe',
    run: () => Promise.all(Array.from({ length: 8 }, () => new Promise((resolve) => { signer.signLater(message, resolve) }))).then(() => 8)
  }, { name: 'crypto.sign on this thread', run: () => sign('sha256', message, { ...input, key: privateKey }).length > 0 ? 1 : 0 })
}

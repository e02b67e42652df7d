import t from 'tap'
import { decodeMessage } from '../../../../src/nodes/natpass/protocol/messages.ts'
import { legacyProofOf, proofOf, ProofVerifier, stepAt } from '../../../../src/nodes/natpass/protocol/proof.ts'
import { toHex } from '../../../helpers/bytes.ts'
import { vector, vectors } from '../../../helpers/natpass/vectors.ts'

const encOf = (name: string): string => toHex(decodeMessage(vector(name).subarray(6)).hsp?.enc ?? Buffer.alloc(0))
const secretOf = (name: string): string => vectors.find((vector) => vector.name === name)?.inputs.secret

t.test('the golden proofs', async (t) => {
  for (const [name, date] of [['handshake_hmac_t1257894000', 1257894000], ['handshake_hmac_counter0', 0], ['handshake_hmac_t1700000000', 1700000000]] as const) {
    t.equal(toHex(proofOf(secretOf(name), stepAt(date * 1000))), encOf(name), name)
  }
  t.equal(toHex(legacyProofOf('0123456789', 'raw')), encOf('handshake_md5_raw'))
  t.equal(toHex(legacyProofOf('0123456789', 'hex')), encOf('handshake_md5_hex'))
})

t.test('the step of now and its neighbours, and no other', async (t) => {
  const verifier = new ProofVerifier('secret', false)
  for (const date of [0, 60_000 * 1000, 60_000 * 1001 - 1]) {
    const now = stepAt(date)
    for (const offset of [-1, 0, 1]) t.equal(verifier.verify(proofOf('secret', now + offset), date), now + offset)
    for (const offset of [-3, -2, 2, 3]) t.equal(verifier.verify(proofOf('secret', now + offset), date), undefined)
    t.equal(verifier.verify(proofOf('other', now), date), undefined)
    for (const length of [0, 16, 32, 63, 65]) t.equal(verifier.verify(Buffer.alloc(length), date), undefined, `${length} bytes`)
    for (const form of ['raw', 'hex'] as const) t.equal(verifier.verify(legacyProofOf('secret', form), date), undefined, form)
  }
})

t.test('the old proofs only where they are allowed', async (t) => {
  const verifier = new ProofVerifier('secret', true)
  for (const form of ['raw', 'hex'] as const) {
    t.equal(verifier.verify(legacyProofOf('secret', form), 1e12), 'legacy')
    t.equal(verifier.verify(legacyProofOf('other', form), 1e12), undefined)
  }
  t.equal(verifier.verify(proofOf('secret', stepAt(1e12)), 1e12), stepAt(1e12))
})

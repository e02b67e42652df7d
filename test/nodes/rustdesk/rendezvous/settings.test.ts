import t from 'tap'
import { readRendezvous } from '../../../../src/nodes/rustdesk/rendezvous/settings.ts'

const keys = { licence: undefined, signer: undefined }

t.test('strictOss is off until it is asked for', async (t) => {
  t.equal(readRendezvous({}, keys).strictOss, false)
  t.equal(readRendezvous({ strictOss: true }, keys).strictOss, true)
  t.throws(() => readRendezvous({ strictOss: 'yes' as unknown as boolean }, keys), { message: /^strictOss: / })
})

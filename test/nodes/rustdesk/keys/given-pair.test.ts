/** Keys that a container is given. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadNacl } from '../../../../src/crypto/nacl/index.ts'
import { keyText, newPair, storeGivenPair } from '../../../../src/nodes/rustdesk/keys/index.ts'

const nacl = await loadNacl()
const [pair, other] = [newPair(nacl), newPair(nacl)]
const secretKey = { text: keyText(pair.secretKey), name: 'KEY_PRIV' }
const publicKey = { text: keyText(pair.publicKey), name: 'KEY_PUB' }
const otherPublic = { text: keyText(other.publicKey), name: 'KEY_PUB' }

t.test('both are written where there is none', async (t) => {
  const folder = t.testdir()
  t.equal(await storeGivenPair({ nacl, folder }), 'none')
  t.same(readdirSync(folder), [])
  t.equal(await storeGivenPair({ nacl, folder, secretKey: { ...secretKey, text: `${secretKey.text}\n` }, publicKey }), 'stored')
  t.equal(readFileSync(join(folder, 'id_ed25519'), 'utf8'), secretKey.text)
  t.equal(readFileSync(join(folder, 'id_ed25519.pub'), 'utf8'), publicKey.text)
  t.equal(statSync(join(folder, 'id_ed25519')).mode & 0o777, 0o600)
  t.equal(await storeGivenPair({ nacl, folder, secretKey, publicKey }), 'kept')
  t.equal(await storeGivenPair({ nacl, folder, secretKey }), 'kept')
  t.equal(await storeGivenPair({ nacl, folder, secretKey, publicKey: otherPublic }), 'other')
  t.equal(readFileSync(join(folder, 'id_ed25519'), 'utf8'), secretKey.text, 'the file counts')
})

t.test('a public file counts as the other half', async (t) => {
  const folder = t.testdir({ 'id_ed25519.pub': publicKey.text })
  t.equal(await storeGivenPair({ nacl, folder, secretKey }), 'stored')
  t.equal(readFileSync(join(folder, 'id_ed25519'), 'utf8'), secretKey.text)
})

t.test('what does not belong together leaves the files as they are', async (t) => {
  const swapped = { text: keyText(Buffer.concat([pair.secretKey.subarray(0, 32), other.publicKey])), name: 'KEY_PRIV' }
  for (const [given, message] of [
    [{ secretKey }, 'KEY_PRIV is of no use without the public key of the pair: both are needed, or neither'],
    [{ publicKey }, 'KEY_PUB is of no use without the secret key of the pair: both are needed, or neither'],
    [{ secretKey, publicKey: otherPublic }, 'KEY_PUB is not the public key of KEY_PRIV'],
    [{ secretKey, publicKey: { text: 'no key', name: 'KEY_PUB' } }, 'KEY_PUB is not the public key of KEY_PRIV'],
    [{ secretKey: { text: 'no key', name: 'KEY_PRIV' }, publicKey }, 'KEY_PRIV has no secret key: that is 64 bytes in base64'],
    [{ secretKey: swapped, publicKey }, 'KEY_PRIV has a secret key whose second half is not the public key of the first']
  ] as const) {
    const folder = t.testdir()
    await t.rejects(storeGivenPair({ nacl, folder, ...given }), { code: 'ERR_RUSTDESK_KEY', message })
    t.same(readdirSync(folder), [], message)
  }
  const folder = t.testdir({ 'id_ed25519.pub': otherPublic.text })
  await t.rejects(storeGivenPair({ nacl, folder, secretKey, publicKey }), { message: 'id_ed25519.pub is not the public key of KEY_PRIV' })
  t.same(readdirSync(folder), ['id_ed25519.pub'])
  writeFileSync(join(folder, 'id_ed25519'), 'broken')
  await t.rejects(storeGivenPair({ nacl, folder, secretKey, publicKey }), { code: 'ERR_RUSTDESK_KEY_FILE' })
  t.equal(readFileSync(join(folder, 'id_ed25519'), 'utf8'), 'broken')
})

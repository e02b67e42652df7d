import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { random, mutate, toHex } from '../../../helpers/bytes.ts'
import { byDefault as nacl, byTweetNacl, SEED, vector } from '../../../helpers/crypto/nacls.ts'
import { sample } from '../../../helpers/sample.ts'
import type { Nacl } from '../../../../src/crypto/index.ts'
import { keyText, LicenceKey, loadKeyFiles, newPair, PeerSigner, readKeyFiles, serverKey } from '../../../../src/nodes/rustdesk/keys/index.ts'
import { bytesOfText } from '../../../../src/nodes/rustdesk/keys/key-text.ts'

const secretText = vector('key_file_secret').file_text as string
const publicText = vector('key_file_public').file_text as string
const other = newPair(nacl)

function folderWith (t: Test, files: Record<string, string> = {}): string {
  const folder = t.testdir({})
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

const contents = (folder: string): Record<string, string> => Object.fromEntries(readdirSync(folder).sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')]))

t.test('golden files', async (t) => {
  const folder = folderWith(t, { id_ed25519: secretText, 'id_ed25519.pub': publicText })
  for (const load of [readKeyFiles, loadKeyFiles]) {
    const stored = await load(nacl, folder)
    t.match(stored, { publicText, isNew: false, publicFile: 'same' })
    t.equal(toHex(stored?.pair.secretKey ?? Buffer.of()), vector('key_file_secret').hex)
  }
  t.same(contents(folder), { id_ed25519: secretText, 'id_ed25519.pub': publicText })
  t.equal(keyText(vector('key_file_secret').bytes), secretText)
})

t.test('white space around it, and no = at the end', async (t) => {
  for (const text of [`${secretText}\n`, `\r\n ${secretText}\t\n`, secretText.replace('==', ''), secretText.replace('==', '=')]) {
    const folder = folderWith(t, { id_ed25519: text, 'id_ed25519.pub': `${publicText}\n` })
    if (text.endsWith('A=')) t.notOk(bytesOfText(text, 64), 'one of two')
    else t.match(await readKeyFiles(nacl, folder), { publicText, publicFile: 'same' })
    t.equal(readFileSync(join(folder, 'id_ed25519'), 'utf8'), text)
  }
})

t.test('a pair is made where there is none', async (t) => {
  const folder = folderWith(t, { 'id_ed25519.pub': 'of a pair that is gone' })
  t.equal(await readKeyFiles(nacl, folder), undefined)
  const made = await loadKeyFiles(nacl, folder)
  t.match(made, { isNew: true, publicFile: 'same' })
  t.notMatch(made.publicText, /[/:]/)
  t.same(contents(folder), { id_ed25519: keyText(made.pair.secretKey), 'id_ed25519.pub': made.publicText }, 'no new line, and nothing else is left')
  t.equal(statSync(join(folder, 'id_ed25519')).mode & 0o777, 0o600)
  t.match(await loadKeyFiles(nacl, folder), { publicText: made.publicText, isNew: false, publicFile: 'same' })
  for (let i = 0; i < 50; i++) t.notMatch(keyText(newPair(nacl).publicKey), /[/:]/)
})

t.test('several at the same time get the same pair', async (t) => {
  const folder = folderWith(t)
  const all = await Promise.all(Array.from({ length: 12 }, () => loadKeyFiles(nacl, folder)))
  t.equal(new Set(all.map(({ publicText }) => publicText)).size, 1)
  t.equal(all.filter(({ isNew }) => isNew).length, 1)
  t.same(contents(folder), { id_ed25519: keyText(all[0].pair.secretKey), 'id_ed25519.pub': all[0].publicText })
})

t.test('no luck with texts', async (t) => {
  let calls = 0
  const unlucky: Nacl = { ...nacl, signKeys: () => { calls++; return nacl.signKeys(SEED) } }
  t.equal(keyText(newPair(unlucky).publicKey), publicText)
  t.equal(calls, 301)
})

t.test('the public file', async (t) => {
  const missing = folderWith(t, { id_ed25519: secretText })
  t.match(await readKeyFiles(nacl, missing), { publicFile: 'same' })
  t.equal(readFileSync(join(missing, 'id_ed25519.pub'), 'utf8'), publicText, 'is written where it is missing')
  const wrong = folderWith(t, { id_ed25519: secretText, 'id_ed25519.pub': 'another' })
  t.match(await readKeyFiles(nacl, wrong), { publicText, publicFile: 'other' })
  t.equal(readFileSync(join(wrong, 'id_ed25519.pub'), 'utf8'), 'another')
  const blocked = folderWith(t, { id_ed25519: secretText })
  mkdirSync(join(blocked, 'id_ed25519.pub'))
  t.match(await readKeyFiles(nacl, blocked), { publicText, publicFile: 'missing' })
})

t.test('malformed files: an error, and they stay as they are', async (t) => {
  const halves = Buffer.concat([SEED, other.publicKey])
  const bad = ['', ' \n', 'text', publicText, secretText.slice(1), `${secretText}A`, `${secretText}\n${secretText}`, secretText.replace('A', '*'), secretText.replace('==', 'A='), '='.repeat(88),
    secretText.replaceAll('/', '_').replaceAll('+', '-'), halves.toString('base64'), Buffer.alloc(64).toString('base64'), Buffer.alloc(63).toString('base64'), Buffer.alloc(65).toString('base64'), ' '.repeat(4090) + secretText, '\u0000'.repeat(88)]
  for (const text of bad) {
    const folder = folderWith(t, { id_ed25519: text })
    for (const load of [readKeyFiles, loadKeyFiles]) {
      const err: Error & { code?: string } = await load(nacl, folder).then(() => { throw new Error('accepted') }, (err) => err)
      t.match(err, { name: 'RustdeskKeyError', code: 'ERR_RUSTDESK_KEY_FILE' }, text.slice(0, 20))
      t.match(err.message, folder)
      t.notMatch(inspect(err), secretText.slice(0, 20), 'and tells no key')
    }
    t.same(contents(folder), { id_ed25519: text })
  }
})

t.test('mutations of a file are errors or the same key', async (t) => {
  const below = random(5)
  let wrong = 0
  const file = join(folderWith(t), 'id_ed25519')
  for (let i = sample('mutated files', { short: 60, long: 3000 }); i > 0; i--) {
    writeFileSync(file, mutate(Buffer.from(secretText), below))
    const stored = await readKeyFiles(nacl, join(file, '..')).catch((err) => { if (err.code !== 'ERR_RUSTDESK_KEY_FILE') throw err })
    if (stored !== undefined && stored.publicText !== publicText) wrong++
  }
  t.equal(wrong, 0)
})

t.test('what cannot be read or written', async (t) => {
  const folder = folderWith(t)
  mkdirSync(join(folder, 'id_ed25519'))
  await t.rejects(loadKeyFiles(nacl, folder), { code: 'ERR_RUSTDESK_KEY_FILE' })
  await t.rejects(loadKeyFiles(nacl, join(folder, 'nowhere')), { code: 'ERR_RUSTDESK_KEY_FILE', cause: { code: 'ENOENT' } })
  writeFileSync(join(folder, 'file'), '')
  await t.rejects(readKeyFiles(nacl, join(folder, 'file')), { code: 'ERR_RUSTDESK_KEY_FILE', cause: { code: 'ENOTDIR' } })
  if (process.platform !== 'win32') {
    const pipe = folderWith(t)
    execFileSync('mkfifo', [join(pipe, 'id_ed25519')])
    await t.rejects(loadKeyFiles(nacl, pipe), { code: 'ERR_RUSTDESK_KEY_FILE' }, 'a pipe without a writer')
  }
  if (process.getuid?.() !== 0) {
    const closed = folderWith(t, { id_ed25519: secretText })
    chmodSync(join(closed, 'id_ed25519'), 0)
    await t.rejects(loadKeyFiles(nacl, closed), { code: 'ERR_RUSTDESK_KEY_FILE', cause: { code: 'EACCES' } })
  }
  const dangling = folderWith(t)
  symlinkSync('nothing', join(dangling, 'id_ed25519'))
  await t.rejects(loadKeyFiles(nacl, dangling), { code: 'ERR_RUSTDESK_KEY_FILE' })
  t.same(readdirSync(dangling), ['id_ed25519'])
})

t.test('forms of the option key', async (t) => {
  const ours = { id_ed25519: secretText, 'id_ed25519.pub': publicText }
  const optionText = keyText(other.secretKey)
  const cases: Array<[key: string, signs: boolean, licence: string | undefined, signer: string | undefined]> = [
    ['', true, undefined, publicText],
    ['', false, undefined, undefined],
    ['-', true, publicText, publicText],
    ['_', true, publicText, publicText],
    ['-', false, publicText, publicText],
    [optionText, true, keyText(other.publicKey), keyText(other.publicKey)],
    [optionText.replace('==', ''), true, keyText(other.publicKey), keyText(other.publicKey)],
    ['any text', true, 'any text', undefined],
    ['--', true, '--', undefined],
    [publicText, true, publicText, publicText],
    [publicText.replace('=', ''), true, publicText.replace('=', ''), undefined],
    [keyText(other.publicKey), true, keyText(other.publicKey), undefined]
  ]
  for (const [key, signs, licence, signer] of cases) {
    const folder = folderWith(t, ours)
    const found = await serverKey({ nacl, key, folder, signs })
    t.equal(found.licence?.text, licence, key)
    t.equal(found.pair && keyText(found.pair.publicKey), signer, key)
    t.same(contents(folder), ours)
  }
})

t.test('files are made and looked at only where the option needs them', async (t) => {
  for (const [key, signs, isMade] of [['', true, true], ['-', false, true], ['_', true, true], ['', false, false], [secretText, true, false], ['text', true, false], [publicText, true, false]] as const) {
    const folder = folderWith(t)
    const found = await serverKey({ nacl, key, folder, signs })
    t.equal(existsSync(join(folder, 'id_ed25519')), isMade, key)
    t.equal(found.files?.isNew, isMade ? true : undefined)
  }
  const broken = folderWith(t, { id_ed25519: 'broken' })
  t.ok(await serverKey({ nacl, key: 'text', folder: broken, signs: true }))
  t.ok(await serverKey({ nacl, key: secretText, folder: broken, signs: true }))
  for (const key of ['', '-', '_', publicText]) await t.rejects(serverKey({ nacl, key, folder: broken, signs: true }), { code: 'ERR_RUSTDESK_KEY_FILE' })
  const halves = Buffer.concat([SEED, other.publicKey]).toString('base64')
  await t.rejects(serverKey({ nacl, key: halves, folder: broken, signs: true }), { name: 'RustdeskKeyError', code: 'ERR_RUSTDESK_KEY' })
})

t.test('a licence key', async (t) => {
  const licence = new LicenceKey(publicText)
  t.ok(licence.matches(publicText))
  for (const text of ['', publicText.slice(1), `${publicText} `, publicText.toLowerCase(), publicText.replace('A', 'B'), publicText.replace('=', '\ud800'), 'é'.repeat(22)]) t.notOk(licence.matches(text), text)
  t.ok(licence.matches(publicText), 'also after others')
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (one, other) => {
    const licence = new LicenceKey(one)
    return licence.matches(one) && licence.matches(other) === (one === other)
  }))
})

t.test('signatures of peers', async (t) => {
  const pair = nacl.signKeys(SEED)
  const idPk = vector('pb_id_pk').bytes
  for (const each of [nacl, byTweetNacl]) t.equal(toHex(new PeerSigner({ nacl: each, pair }).sign('123456789', idPk)), vector('signed_id_pk').hex)

  let made = 0
  const signer = new PeerSigner({ nacl: { ...nacl, sign: (...of) => { made++; return nacl.sign(...of) } }, pair, maxPeers: 3 })
  const first = signer.sign('1', idPk)
  t.equal(signer.sign('1', Buffer.from(idPk)), first)
  t.equal(made, 1)
  const changed = Buffer.from(idPk).fill(7, 20)
  t.equal(toHex(signer.sign('1', changed)), toHex(nacl.sign(changed, pair.secretKey)), 'a new key of the peer')
  t.equal(signer.size, 1)
  for (const id of ['2', '3', '1', '4']) signer.sign(id, changed)
  t.equal(signer.size, 3)
  made = 0
  signer.sign('1', changed)
  t.equal(made, 0, 'was asked for')
  signer.sign('2', changed)
  t.equal(made, 1, 'went, as it was not asked for longest')
  const large = Buffer.alloc(600)
  t.equal(toHex(signer.sign('1', large)), toHex(nacl.sign(large, pair.secretKey)))
  t.equal(signer.size, 2, 'what is large is not kept')
  t.notMatch(inspect(signer, { showHidden: true, depth: 9 }), '0, 1, 2, 3')
  for (let i = 0; i < 1000; i++) signer.sign(`id ${i}`, changed)
  t.equal(signer.size, 3)
})

/** Files of keys: who may read them, and what is in them. */
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createKeyFile, readKeyFile } from '../../../src/cli/showchain/key-file.ts'
import { complaint } from '../../helpers/cli/complaint.ts'
import { identity, privateKey, type AnyKeyName } from '../../helpers/showchain/keys.ts'

const pem = (name: AnyKeyName): string => privateKey(name).export({ type: 'pkcs8', format: 'pem' }) as string

function keyFile (t: Test, text: string | Uint8Array, mode = 0o600): string {
  const file = join(t.testdir(), 'key.pem')
  writeFileSync(file, text, { mode })
  return file
}

const complaintOf = (t: Test, text: string | Uint8Array, mode?: number): string => {
  const file = keyFile(t, text, mode)
  return complaint(t, () => readKeyFile(file, '--identity')).replace(JSON.stringify(file), '(F)').replace(file, 'F')
}

t.test('keys of all sizes that may be used', async (t) => {
  for (const name of ['a', 'rsa2056', 'rsa3072', 'rsa4096'] as const) t.same(readKeyFile(keyFile(t, pem(name)), 'x').id, identity(name).id, name)
  t.same(readKeyFile(keyFile(t, `a comment\n${privateKey('a').export({ type: 'pkcs1', format: 'pem' }) as string}`), 'x').id, identity('a').id, 'PKCS #1, behind other text')
  t.same(readKeyFile(keyFile(t, pem('a'), 0o400), 'x').id, identity('a').id, 'that cannot be written')
})

t.test('no file', async (t) => {
  const file = join(t.testdir(), "it's missing.pem")
  t.match(complaint(t, () => readKeyFile(file, '--identity')), /^--identity: there is no such file \(".*missing\.pem"\), peer showchain keygen --out '\/.*it'\\''s missing\.pem' makes one$/)
  t.match(complaint(t, () => readKeyFile(join(t.testdirName, 'x.pem'), 'relay.yaml:4: showchain.identity')), /^relay\.yaml:4: showchain\.identity: there is no such file .*keygen --out \/\S+x\.pem makes one$/)
  mkdirSync(join(t.testdirName, 'folder'))
  t.match(complaint(t, () => readKeyFile(join(t.testdirName, 'folder'), '--identity')), /^--identity: cannot be read .*directory/)
})

t.test('a key that others can read, or write, is refused, and it is said how to mend that', async (t) => {
  for (const mode of [0o640, 0o604, 0o644, 0o620, 0o666, 0o601]) {
    const file = keyFile(t, pem('a'))
    chmodSync(file, mode)
    t.equal(complaint(t, () => readKeyFile(file, '--identity')), `--identity: others can read the key, or write it (${JSON.stringify(file)}): chmod 600 ${file}`, mode.toString(8))
  }
})

t.test('what is no such key', async (t) => {
  const expected = /, expected RSA of 2048 to 4096 bits in PEM \(PKCS #8\)$/
  const encrypted = privateKey('a').export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string
  const old = privateKey('a').export({ type: 'pkcs1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string
  const { privateKey: ec } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { privateKey: pss } = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
  const { privateKey: small } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const { privateKey: odd } = generateKeyPairSync('rsa', { modulusLength: 2052 })
  const { privateKey: three } = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 })
  const text = (key: typeof ec): string => key.export({ type: 'pkcs8', format: 'pem' }) as string
  for (const [what, content] of [
    ['the key is encrypted', encrypted],
    ['the key is encrypted', old],
    ['that is a public key', `-----BEGIN PUBLIC KEY-----\n${Buffer.from(identity('a').der).toString('base64')}\n-----END PUBLIC KEY-----\n`],
    ['no private key', ''],
    ['no private key', 'hello\n'],
    ['no private key', pem('a').slice(0, 600)],
    ['the private key cannot be read', pem('a').split('\n').filter((_line, i) => i !== 3).join('\n')],
    ['a key of the type ec', text(ec)],
    ['a key of the type ec', ec.export({ type: 'sec1', format: 'pem' }) as string],
    ['a key of the type rsa-pss', text(pss)],
    ['a key of 1024 bits', text(small)],
    ['a key of 2052 bits', text(odd)],
    ['a key with the exponent 3', text(three)]
  ] as const) {
    const said = complaintOf(t, content)
    t.ok(said.startsWith(`--identity: ${what} ((F))`), said)
    t.match(said, expected)
    t.notMatch(said, /MII|BEGIN/, 'nothing of the key')
  }
  t.match(complaintOf(t, Buffer.alloc(20_000, 'x')), /^--identity: too large /)
  t.match(complaintOf(t, Buffer.from([0xff, 0xfe, 0x00])), /^--identity: not text /)
})

t.test('a new one', async (t) => {
  const file = join(t.testdir(), 'new.pem')
  const umask = process.umask(0)
  t.teardown(() => { process.umask(umask) })
  const made = await createKeyFile({ file, bits: 2048, overwrite: false })
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(readFileSync(file, 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/)
  t.same(readKeyFile(file, 'x').id, made.id)
  t.same(readdirSync(t.testdirName), ['new.pem'], 'nothing else is left')

  const before = readFileSync(file)
  await t.rejects(createKeyFile({ file, bits: 2048, overwrite: false }), { code: 'ERR_USAGE', message: /is there already, expected a new file \(or --overwrite, by which the key in it is lost\)$/ })
  t.same(readFileSync(file), before)
  const next = await createKeyFile({ file, bits: 2056, overwrite: true })
  t.same(readKeyFile(file, 'x').id, next.id)
  t.equal(statSync(file).mode & 0o777, 0o600)

  const race = join(t.testdirName, 'race.pem')
  const attempts = await Promise.allSettled([1, 2].map(() => createKeyFile({ file: race, bits: 2048, overwrite: false })))
  t.same(attempts.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'one of two at once')
  const [winner] = attempts.flatMap((attempt) => attempt.status === 'fulfilled' ? attempt.value : [])
  t.same(readKeyFile(race, 'x').id, winner.id)

  await t.rejects(createKeyFile({ file: join(t.testdirName, 'no', 'x.pem'), bits: 2048, overwrite: false }), { code: 'ENOENT', message: /^cannot write .*no such file or directory$/ })
  t.same(readdirSync(t.testdirName).sort(), ['new.pem', 'race.pem'])
})

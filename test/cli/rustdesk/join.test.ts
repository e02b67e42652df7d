/** `relay rustdesk join`: what clients need, in the forms that they take. */
import t from 'tap'
import { loadNacl } from '../../../src/crypto/nacl/index.ts'
import { importText, joinText, programName } from '../../../src/cli/rustdesk/join-text.ts'
import { keyText, newPair } from '../../../src/nodes/rustdesk/keys/index.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram } from '../../helpers/programs/program.ts'

/** As a client reads it. */
const imported = (text: string): unknown => JSON.parse(String(Buffer.from([...text].reverse().join(''), 'base64url')))

t.test('the text to import', async (t) => {
  const server = { host: 'rustdesk.example.com', relay: '', key: 'aaa/bbb+ccc=' }
  t.same(imported(importText(server)), { ...server, api: '' })
  for (let length = 1; length < 8; length++) t.match(importText({ ...server, host: 'x'.repeat(length) }), /^[\w-]+$/, 'without padding')
})

t.test('the name of a program, where the fields fit into one', async (t) => {
  t.equal(programName({ host: '192.0.2.7', relay: '', key: 'abc=' }), 'rustdesk-host=192.0.2.7,key=abc=,.exe')
  t.equal(programName({ host: '192.0.2.7', relay: 'relay.example', key: '' }), 'rustdesk-host=192.0.2.7,relay=relay.example,.exe')
  t.equal(programName({ host: '192.0.2.7:31116', relay: '', key: '' }), undefined)
  t.equal(programName({ host: '192.0.2.7', relay: '', key: 'a/b' }), undefined)
  t.notMatch(joinText({ host: '192.0.2.7:31116', relay: '', key: '' }), '.exe')
})

t.test('the program', async (t) => {
  const pair = newPair(await loadNacl())
  const key = keyText(pair.publicKey)
  const folder = t.testdir({ data: { id_ed25519: keyText(pair.secretKey) }, empty: {} })
  const env = homeEnv()
  const join = async (...args: string[]) => await runProgram(t, 'relay', ['rustdesk', 'join', ...args], { env })
  const text = await join('rustdesk.example.com', '--data', `${folder}/data`)
  t.match(text, { code: 0, stderr: '' })
  t.match(text.stdout, `ID server:    rustdesk.example.com\n  Relay server: (empty)\n  Key:          ${key}\n`)
  t.match(text.stdout, `\n  rustdesk-host=rustdesk.example.com,key=${key},.exe\n`)
  t.notMatch(text.stdout, keyText(pair.secretKey))
  const json = JSON.parse((await join('192.0.2.7:31116', '--data', `${folder}/data`, '--relay', '192.0.2.7:31117', '--json')).stdout)
  t.match(json, { host: '192.0.2.7:31116', relay: '192.0.2.7:31117', key, program: null })
  t.match(imported(json.import), { host: '192.0.2.7:31116', relay: '192.0.2.7:31117', key })
  t.match(JSON.parse((await join('host.example', '-k', keyText(pair.secretKey), '--json')).stdout), { key }, 'of a secret key its public half')
  t.match(JSON.parse((await join('host.example', '-k', 'own text', '--json')).stdout), { key: 'own text' })
  t.match(await join('host.example', '--data', `${folder}/empty`), { code: 1, stderr: /there is no key in .*empty: relay rustdesk makes one/ })
  t.match(await join('not a host'), { code: 2, stderr: /not a server \("not a host"\), expected/ })
  t.match(await join('host.example', '--relay', 'a,b'), { code: 2, stderr: /--relay: not one relay/ })
  t.match(await join(), { code: 2, stderr: /host/ })
  t.match(await join('--help'), { code: 0, stdout: /Usage: relay rustdesk join \[options\] <host>.*Exit codes/s })
})

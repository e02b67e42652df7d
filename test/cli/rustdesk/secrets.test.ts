/** Keys in the environment of the real program, and that no line of it has a secret. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { z } from 'zod'
import { loadNacl } from '../../../src/crypto/nacl/index.ts'
import { secretValues } from '../../../src/cli/config/keys.ts'
import { load } from '../../../src/cli/config/load.ts'
import { parse } from '../../../src/cli/command.ts'
import type { Flags } from '../../../src/cli/config/settings.ts'
import { RELAY_PROTOCOLS } from '../../../src/cli/protocols.ts'
import { createRelayCommand } from '../../../src/cli/relay-command.ts'
import { relayOptions } from '../../../src/cli/rustdesk/options.ts'
import { secretText } from '../../../src/nodes/common/options/checks.ts'
import { keyText, newPair } from '../../../src/nodes/rustdesk/keys/index.ts'
import { rendezvous } from '../../../src/nodes/rustdesk/protocol/messages.ts'
import { complaint } from '../../helpers/cli/complaint.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'
import { dialRelay, requestOf } from '../../helpers/rustdesk/relay.ts'

const nacl = await loadNacl()

function secretsOf (...argv: string[]): string[] {
  let flags: Flags | undefined
  parse(createRelayCommand((given) => { flags = given }, () => {}), ['rustdesk', ...argv])
  return load({ program: 'relay', protocols: RELAY_PROTOCOLS, flags: flags as Flags }).secrets
}

t.test('an option whose check is that of a secret is one', async (t) => {
  t.same(secretValues({ a: { check: secretText() }, b: { check: z.string() }, c: { check: secretText() } }, { a: 'hidden', b: 'shown' }), ['hidden'])
  t.same(secretValues(relayOptions, { key: 'one', relayKey: 'two', keyPriv: 'three', keyPub: 'public' }), ['one', 'two', 'three'])
})

t.test('secrets are known to the log, whatever they come from', async (t) => {
  const file = join(t.testdir({ 'hbbs.ini': 'key=from-the-ini', 'relay.yaml': 'rustdesk: { relay-key: from-yaml }' }), 'hbbs.ini')
  t.same(secretsOf('--key', 'from-an-option', '--relay-key', 'another'), ['from-an-option', 'another'])
  t.same(secretsOf('-c', file), ['from-the-ini'])
  t.same(secretsOf('-c', join(file, '../relay.yaml')), ['from-yaml'])
  Object.assign(process.env, { KEY: 'from-the-environment', KEY_PRIV: 'private', KEY_PUB: 'public' })
  t.teardown(() => { for (const name of ['KEY', 'KEY_PRIV', 'KEY_PUB']) delete process.env[name] })
  t.same(secretsOf(), ['from-the-environment', 'private'])
})

t.test('no error has a wrong one', async (t) => {
  const long = 'hunter2-'.repeat(600)
  for (const args of [['--key', long], [`--kye=${long}`], ['--kye', long], [`-k${long}`], ['--relay-key', long], [`--strict-oss=${long}`]]) t.notMatch(complaint(t, () => secretsOf(...args)), /hunter2/, args[0].slice(0, 12))
  for (const text of [`rustdesk: { key: [${long}] }`, `rustdesk: { key: { a: ${long} } }`, `key=${long}`, `kye=${long}\nport=x`]) {
    const file = join(t.testdir({ f: text }), 'f')
    t.notMatch(complaint(t, () => secretsOf('-c', file)), /hunter2/, text.slice(0, 16))
  }
})

t.test('keys of a container become the files, and no line has a secret', async (t) => {
  const [pair, other] = [newPair(nacl), newPair(nacl)]
  const folder = t.testdir({ '.env': `KEY_PRIV=${keyText(pair.secretKey)}\n` })
  const [port, relayPort, relayKey] = [await freePort(), await freePort(), 'a licence of the relay']
  const args = ['rustdesk', '--port', String(port), '--relay-port', String(relayPort), '--bind', '127.0.0.1', '--log-level', 'trace']
  const wrong = await runProgram(t, 'relay', args, { cwd: folder, env: { ...homeEnv(), KEY_PUB: keyText(other.publicKey) } })
  t.match(wrong, { code: 1, stderr: 'relay: KEY_PUB is not the public key of KEY_PRIV\n', stdout: '' })

  const relay = startProgram(t, 'relay', [...args, '--relay-key', relayKey], { cwd: folder, env: { ...homeEnv(), KEY_PUB: keyText(pair.publicKey) } })
  await relay.find(new RegExp(`^Key: ${keyText(pair.publicKey).replaceAll('+', '\\+')}$`, 'm'))
  await relay.find(new RegExp(`^ready rustdesk ws://127\\.0\\.0\\.1:${relayPort + 2}$`, 'm'))
  t.match(relay.stderr, /the keys of the environment are written to the key files/)
  t.equal(readFileSync(join(folder, 'id_ed25519'), 'utf8'), keyText(pair.secretKey))
  t.equal(readFileSync(join(folder, 'id_ed25519.pub'), 'utf8'), keyText(pair.publicKey))

  const peer = createSocket('udp4')
  t.teardown(() => { peer.close() })
  peer.send(rendezvous.encode({ register_pk: { id: '123456789', uuid: Buffer.from('machine'), pk: Buffer.alloc(32, 7) } }), port, '127.0.0.1')
  await once(peer, 'message')
  const refused = await dialRelay(t, relayPort)
  refused.send(requestOf('a uuid', 'nearly a licence'))
  await refused.closed
  relay.signal('SIGTERM')
  const { code, stdout, stderr } = await relay.ended
  t.equal(code, 0)
  for (const secret of [keyText(pair.secretKey), relayKey, 'nearly a licence']) t.notOk(`${stdout}${stderr}${wrong.stderr}`.includes(secret), secret.slice(0, 8))
})

/** `relay rustdesk` as its users run it: the real program, in a folder as the originals leave it. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { loadNacl } from '../../../src/crypto/nacl/index.ts'
import { keyText, newPair } from '../../../src/nodes/rustdesk/keys/index.ts'
import { rendezvous } from '../../../src/nodes/rustdesk/protocol/messages.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { askControl } from '../../helpers/cli/control.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'
import { dialRelay, requestOf } from '../../helpers/rustdesk/relay.ts'

t.test('help', async (t) => {
  t.match(await runProgram(t, 'relay', ['rustdesk', '--help']), { code: 0, stderr: '', stdout: /^Usage: relay rustdesk .*--relay-servers <hosts>.*--console <on\|off>.*\(default:\s+on\).*Examples:\n {2}relay rustdesk\n.*Exit codes: /s })
})

t.test('both halves: a registration, a pair, status, metrics, a reload, and an orderly end', async (t) => {
  const pair = newPair(await loadNacl())
  const folder = t.testdir({ id_ed25519: keyText(pair.secretKey), 'relay.yaml': 'rustdesk: { limit-speed: 16 }\n' })
  const [port, relayPort, file] = [await freePort(), await freePort(), join(folder, 'relay.yaml')]
  const env = { ...homeEnv(), ALWAYS_USE_RELAY: 'Y', SINGLE_BANDWIDTH: 'fast' }
  const args = ['rustdesk', '--config', file, '-p', String(port), '--relay-port', String(relayPort), '-b', '127.0.0.1', '--data', folder, '--metrics', '0']
  const relay = startProgram(t, 'relay', args, { env })
  const [, metrics] = await relay.find(/^ready metrics (.*)$/m)
  t.match(relay.stdout, [
    `Key: ${keyText(pair.publicKey)}`,
    ...[`udp://127.0.0.1:${port}`, `tcp://127.0.0.1:${port}`, `tcp://127.0.0.1:${port - 1}`, `ws://127.0.0.1:${port + 2}`, `tcp://127.0.0.1:${relayPort}`, `ws://127.0.0.1:${relayPort + 2}`].map((url) => `ready rustdesk ${url}`)
  ].join('\n'))
  t.match(relay.stderr, /SINGLE_BANDWIDTH in the environment is ignored: not a speed/)

  const peer = createSocket('udp4')
  t.teardown(() => { peer.close() })
  const ask = async (message: Uint8Array): Promise<string> => {
    peer.send(message, port, '127.0.0.1')
    const [answer] = await once(peer, 'message') as [Buffer]
    return answer.toString('hex')
  }
  t.equal(await ask(rendezvous.encode({ register_peer: { id: '123456789' } })), '3a021001', 'an unknown one is asked for its key')
  t.equal(await ask(rendezvous.encode({ register_pk: { id: '123456789', uuid: Buffer.from('machine'), pk: Buffer.alloc(32, 7) } })), '820100')
  t.ok(readFileSync(join(folder, 'db_v2.sqlite3')).length > 0)
  t.equal(readFileSync(join(folder, 'id_ed25519.pub'), 'utf8'), keyText(pair.publicKey), 'the missing file of the public key is written')

  const told = async (at: number, command: string): Promise<string> => {
    const operator = connect({ port: at, host: '127.0.0.1', allowHalfOpen: true })
    operator.end(command)
    return await text(operator)
  }
  t.equal(await told(port - 1, 'aur'), 'ALWAYS_USE_RELAY: true\n', 'by the environment')
  t.equal(await told(relayPort, 'ls'), '16Mb/s\n', 'by the file')
  t.equal(await told(relayPort, ''), '')

  const [b, a] = [await dialRelay(t, relayPort), await dialRelay(t, relayPort)]
  b.send(requestOf('a uuid'), Buffer.from('hello'))
  a.send(requestOf('a uuid'))
  t.equal(String(await a.next()), 'hello')
  t.match(await runProgram(t, 'relay', ['status'], { env }), { code: 0, stdout: /rustdesk rendezvous rustdesk:\/\/127\.0\.0\.1:\d+: 1 peer, 1 of them online.*\nrustdesk relay tcp:\/\/127\.0\.0\.1:\d+: 1 pair, .*\nFIRST /s })
  t.match(await askControl(env, 'relay-rustdesk', 'status'), { health: 'ok', services: [{ protocol: 'rustdesk', rendezvous: { registered: 1, stored: 1, alwaysUseRelay: true }, relay: { paired: 1 } }] }, 'a client on this machine is no operator')
  const numbers = await (await fetch(`${metrics}/metrics`)).text()
  for (const line of ['rendezvous_online 1', 'rendezvous_messages_total{way="udp",reason="register_pk"} 1', 'rendezvous_refused_registrations_total{reason="stolen"} 0', 'relay_pairs 1']) t.ok(numbers.includes(`\ntunpipe_rustdesk_${line}\n`), line)

  writeFileSync(file, 'rustdesk: { relay-servers: [ relay.example ], relay-key: other, serial: 3 }\n')
  t.match(await askControl(env, 'relay-rustdesk', 'reload'), { restart: ['rustdesk.relay-key', 'rustdesk.serial'] })
  t.match(await askControl(env, 'relay-rustdesk', 'status'), { services: [{ rendezvous: { relays: { all: ['relay.example'] } }, relay: { pairs: 1 } }] })

  relay.signal('SIGTERM')
  t.match(await relay.ended, { code: 0 })
  await Promise.all([a.closed, b.closed])
  t.notMatch(relay.stdout + relay.stderr, keyText(pair.secretKey))
})

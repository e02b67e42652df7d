/** What `relay rustdesk` logs for fail2ban, and what it tells about peers and pairs, with the real program. */
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../helpers/free-ports.ts'
import { until } from '../../helpers/ends.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'
import { failregex } from '../../helpers/rustdesk/failregex.ts'
import { dialRelay, requestOf } from '../../helpers/rustdesk/relay.ts'
import { KEY, TcpClient, WebSocketClient } from '../../helpers/rustdesk/rendezvous.ts'

const ID = '123456789'

t.test('refusals have the form that the filter of fail2ban knows, with the address of the client', async (t) => {
  const folder = t.testdir({})
  const [port, relayPort, env] = [await freePort(), await freePort(), homeEnv()]
  const relay = startProgram(t, 'relay', ['rustdesk', '-p', String(port), '--relay-port', String(relayPort), '--console', 'off', '--data', folder, '-k', '_', '--allow', ID, '--trusted-proxy', '127.0.0.1', '--json'], { env })
  await relay.find(/"ws:.*\n.*\n.*"ws:.*$/m)
  const key = readFileSync(join(folder, 'id_ed25519.pub'), 'utf8')
  const refused = (): Array<Record<string, unknown>> => relay.stderr.split('\n').filter((line) => line.includes('"event":"refused"')).map((line) => JSON.parse(line) as Record<string, unknown>)

  const wrong = await TcpClient.dial(t, port, '127.0.0.2')
  await wrong.ask({ punch_hole_request: { id: 'a"\n,"client":"192.0.2.99",', licence_key: 'wrong' } })
  await until(() => refused().length === 1)
  t.match(refused()[0], { reason: 'key', way: 'tcp', client: '127.0.0.2', port: wrong.port }, 'IPv4 as it is, on a socket of both families')
  const unknown = await TcpClient.dial(t, port, '127.0.0.3')
  await unknown.ask({ punch_hole_request: { id: 'nobody-here', licence_key: key } })
  const proxied = await WebSocketClient.dial(t, port + 2, { 'X-Real-IP': '192.0.2.7' })
  proxied.send({ register_pk: { id: 'another-id', uuid: Buffer.from('m'), pk: KEY } })
  await proxied.next()
  const claimed = await WebSocketClient.dial(t, port + 2, { 'X-Real-IP': '192.0.2.7' }, '127.0.0.5')
  claimed.send({ punch_hole_request: { id: ID, licence_key: 'wrong' } })
  await claimed.next()
  const end = await dialRelay(t, relayPort)
  end.send(requestOf('a uuid', 'wrong'))
  await end.closed
  const datagrams = createSocket('udp4')
  t.teardown(() => { datagrams.close() })
  datagrams.send(Buffer.from([0xff]), port, '127.0.0.1')
  await until(() => refused().length === 6)
  t.match(refused().slice(1), [
    { reason: 'unknown', way: 'tcp', client: '127.0.0.3', id: 'nobody-here' },
    { reason: 'not_allowed', way: 'websocket', client: '192.0.2.7', id: 'another-id' },
    { reason: 'key', way: 'websocket', client: '127.0.0.5' },
    { reason: 'key', way: 'tcp', client: '127.0.0.1' },
    { reason: 'malformed', way: 'udp', client: '127.0.0.1' }
  ], 'a header counts from a trusted proxy alone')
  const regex = failregex()
  t.same(relay.stderr.split('\n').flatMap((line) => regex.exec(line)?.groups?.host ?? []), ['127.0.0.2', '127.0.0.3', '192.0.2.7', '127.0.0.5', '127.0.0.1'], 'the filter takes all but the datagram, whose sender may be forged')
  relay.signal('SIGTERM')
  await relay.ended
})

t.test('peers, pairs, and why a peer is reached or not', async (t) => {
  const folder = t.testdir({})
  const [port, relayPort, env] = [await freePort(), await freePort(), homeEnv()]
  const relay = startProgram(t, 'relay', ['rustdesk', '-p', String(port), '--relay-port', String(relayPort), '--console', 'off', '-b', '127.0.0.1', '--data', folder], { env })
  await relay.find(/^ready rustdesk ws:.*\n.*\nready rustdesk ws:.*$/m)
  const peer = await TcpClient.dial(t, port, '127.0.0.2')
  await peer.ask({ register_pk: { id: ID, uuid: Buffer.from('m'), pk: KEY } })
  const client = await TcpClient.dial(t, port, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID, nat_type: 2, licence_key: readFileSync(join(folder, 'id_ed25519.pub'), 'utf8') } })
  t.ok((await peer.next())?.punch_hole)
  const [b, a] = [await dialRelay(t, relayPort), await dialRelay(t, relayPort)]
  b.send(requestOf('a uuid'), Buffer.from('hello'))
  a.send(requestOf('a uuid'))
  await a.next()
  const status = await runProgram(t, 'relay', ['status', '--protocol', 'rustdesk'], { env })
  t.match(status.stdout, /ID +ADDRESS +WAY +ONLINE +SILENT\n123456789 +127\.0\.0\.2 +tcp +\d+ s/)
  t.match(status.stdout, /FIRST +SECOND +ID +UP .*\n127\.0\.0\.1:\d+ +127\.0\.0\.1:\d+ +123456789 /)
  t.match(JSON.parse((await runProgram(t, 'relay', ['status', '--json'], { env })).stdout), { services: [{ rendezvous: { members: [{ id: ID, way: 'tcp' }] }, relay: { members: [{ id: ID }] } }] })
  const explained = await runProgram(t, 'relay', ['explain', ID], { env })
  t.match(explained, { code: 0, stdout: /^123456789: online, clients reach it for \d+ s; heard \d+ s ago at 127\.0\.0\.2, by tcp\nits public key: BwcH.*=\n\n\S+ registered by tcp from 127\.0\.0\.2\n\S+ 127\.0\.0\.3:\d+ wants to connect by a relay, the peer was told\n$/ })
  t.match(await runProgram(t, 'relay', ['explain', 'nobody-here'], { env }), { code: 0, stdout: /^nobody-here: nobody has registered this id here.*\nwhat would help: .*\n\nnothing has happened/ })
  t.match(await runProgram(t, 'relay', ['explain', 'abc'], { env }), { code: 2, stderr: /not the id of a peer \("abc"\), expected 6 characters/ })
  t.match(JSON.parse((await runProgram(t, 'relay', ['explain', ID, '--json'], { env })).stdout), { explanation: { state: 'online', steps: [{ kind: 'registered' }, { kind: 'asked', what: 'relay' }] } })
  relay.signal('SIGTERM')
  await relay.ended
})

/** All protocols in one relay, each with clients: they are told apart, and what happens to one is no matter of the others. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { rendezvous } from '../../src/nodes/rustdesk/protocol/messages.ts'
import { askControl } from '../helpers/cli/control.ts'
import { tcpService, User } from '../helpers/cli/gotunnel.ts'
import { keyFolder, LAPTOP, NAS } from '../helpers/cli/showchain.ts'
import { freePorts } from '../helpers/free-ports.ts'
import { join as joinNatpass, SECRET } from '../helpers/natpass/client.ts'
import { data, ended, isType, openLink, request } from '../helpers/natpass/messages.ts'
import { homeEnv } from '../helpers/programs/homes.ts'
import { runProgram, startProgram, type Program } from '../helpers/programs/program.ts'

const NAMES = ['candy', 'gotunnel', 'natpass', 'rustdesk', 'showchain']
const TOKEN = 'a-token-for-tests'
const PASSWORD = 'correct-horse-battery'

/** Resident memory of a relay that does nothing, in MB. Later versions of Node take some 20 more for the same. */
const MAX_RESIDENT = process.versions.node.startsWith('20.') ? 150 : 175

function residentOf ({ child }: Program): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid as number}/status`, 'utf8')) ?? []
  return Number(kilobytes) / 1000
}

async function askRustdesk (socket: UdpSocket, port: number): Promise<string> {
  socket.send(rendezvous.encode({ register_peer: { id: '123456789' } }), port, '127.0.0.1')
  const [answer] = await once(socket, 'message') as [Buffer]
  return answer.toString('hex')
}

async function hear (t: Test, port: number, name: string): Promise<User> {
  const user = new User(t, port)
  user.say('hello')
  await user.hear(`${name}:hello`)
  return user
}

t.test('one process, five sections', { timeout: 120_000 }, async (t) => {
  const env = homeEnv()
  const folder = keyFolder(t, 'relay', 'nas', 'laptop')
  const file = join(folder, 'relay.yaml')
  const [rustdeskPort, rustdeskRelayPort, mapped] = await freePorts(3)
  const text = (natpass = ''): string => `candy: { listen: "ws://127.0.0.1:0", password: ${PASSWORD}, dhcp: 10.77.0.0/24 }
gotunnel: { listen: "127.0.0.1:0", bind: 127.0.0.1, token: ${TOKEN} }
natpass: { listen: "127.0.0.1:0", secret: ${SECRET}${natpass} }
rustdesk: { data: ${folder}, bind: 127.0.0.1, port: ${rustdeskPort}, relay-port: ${rustdeskRelayPort} }
showchain: { listen: "udp://127.0.0.1:0", identity: ${join(folder, 'relay.pem')} }
metrics: 0
`
  const write = (text: string): void => { writeFileSync(file, text, { mode: 0o600 }) }
  write(text())
  const relay = startProgram(t, 'relay', ['--config', file], { env })
  const [, metrics] = await relay.find(/^ready metrics (.*)$/m)
  const readyAt = (name: string, scheme: string): number => Number(new RegExp(`^ready ${name} ${scheme}://127\\.0\\.0\\.1:(\\d+)$`, 'm').exec(relay.stdout)?.[1])
  const [candy, gotunnel, natpass, showchain] = [readyAt('candy', 'ws'), readyAt('gotunnel', 'tcp'), readyAt('natpass', 'tcp'), readyAt('showchain', 'udp')]
  t.same([...relay.stdout.matchAll(/^ready (\S+) /gm)].map(([, name]) => name).filter((name, i, all) => all.indexOf(name) === i), [...NAMES, 'metrics'])
  const resident = residentOf(relay)
  t.ok(resident > 20 && resident <= MAX_RESIDENT, `${resident} MB at rest`)

  const service = await tcpService(t, 'service')
  const [peerFile, laptopFile] = [join(folder, 'peer.yaml'), join(folder, 'laptop.yaml')]
  writeFileSync(peerFile, `candy: { url: "ws://127.0.0.1:${candy}/", password: ${PASSWORD}, tun: none }
gotunnel: { server: "127.0.0.1:${gotunnel}", token: ${TOKEN}, name: nas, map: [ "${mapped}:${service.port}" ] }
showchain: { identity: ${join(folder, 'nas.pem')}, bootstrap: "127.0.0.1:${showchain}", to: "127.0.0.1:${service.port}", allow: [ ${LAPTOP} ] }
`, { mode: 0o600 })
  writeFileSync(laptopFile, `showchain: { identity: ${join(folder, 'laptop.pem')}, bootstrap: "127.0.0.1:${showchain}", connect: [ { id: ${NAS}, listen: "127.0.0.1:0" } ] }\n`)
  const nas = startProgram(t, 'peer', ['--config', peerFile, '--json'], { env: homeEnv() })
  const laptop = startProgram(t, 'peer', ['--config', laptopFile], { env: homeEnv() })
  const [, listening] = await laptop.find(/^ready showchain tcp:\/\/127\.0\.0\.1:(\d+)$/m)
  for (const name of ['candy', 'gotunnel', 'showchain']) await nas.find(new RegExp(`"event":"ready","protocol":"${name}"`))
  const [byGotunnel, byShowchain] = [await hear(t, mapped, 'service'), await hear(t, Number(listening), 'service')]
  const [a, b] = [await joinNatpass(t, natpass, 'a'), await joinNatpass(t, natpass, 'b')]
  await openLink(a, b)
  const rustdesk = createSocket('udp4')
  t.teardown(() => { rustdesk.close() })
  t.equal(await askRustdesk(rustdesk, rustdeskPort), '3a021001')

  const status = await askControl(env, 'relay', 'status')
  t.match(status, { health: 'ok', services: [{ peers: 1 }, { ports: 1, users: 1 }, { clients: 2, links: { shell: 1 } }, { rendezvous: { online: 0 }, relay: { pairs: 0 } }, { nodes: 2 }] })
  t.same(status.services.map(({ protocol }: any) => protocol), NAMES)
  const shown = await runProgram(t, 'relay', ['status'], { env })
  for (const name of NAMES) t.match(shown.stdout, new RegExp(`^${name} `, 'm'), `${name} in the text`)
  t.match(await runProgram(t, 'relay', ['status', '--protocol', 'showchain'], { env }), { code: 0, stdout: /^relay .*\nshowchain udp:/ })
  const numbers = await (await fetch(`${metrics}/metrics`)).text()
  for (const line of ['candy_peers 1', 'gotunnel_clients 1', 'natpass_clients 2', 'rustdesk_rendezvous_online 0', 'showchain_relay_nodes 2']) t.match(numbers, new RegExp(`^tunpipe_${line}$`, 'm'), line)

  write(text(', rule: [ "deny:any:any:any" ]'))
  t.match(await askControl(env, 'relay', 'reload'), { restart: [], services: NAMES.map((protocol) => ({ protocol })) })
  await b.next(isType('disconnect'))
  a.send(request('b', 'another'))
  t.match(await a.next(isType('connectRep')), { crep: { ok: false } }, 'the one is changed')
  a.send(ended('b'), data('b', 'x'))
  byGotunnel.say(' again')
  byShowchain.say(' again')
  await Promise.all([byGotunnel, byShowchain].map((user) => user.hear('service:hello again')))
  t.equal(await askRustdesk(rustdesk, rustdeskPort), '3a021001')
  t.notMatch(nas.stdout, '"offline"', 'and the others have not noticed')
  t.match(await askControl(env, 'relay', 'status'), { services: [{ peers: 1, connections: 1 }, { users: 1 }, {}, {}, { nodes: 2 }] })

  write(text().replace('udp://127', 'tcp://127'))
  t.match(await runProgram(t, 'relay', ['reload'], { env }), { code: 2, stderr: /relay\.yaml:5: showchain\.listen: not an address to listen on/ })
  t.match((await askControl(env, 'relay', 'status')).services[2], { clients: 2 }, 'what is wrong with one changes none')

  relay.signal('SIGTERM')
  t.match(await relay.ended, { code: 0 }, 'it has ended in time')
  for (const peer of [nas, laptop]) {
    peer.signal('SIGTERM')
    t.match(await peer.ended, { code: 0 })
  }
  t.notMatch([relay, nas, laptop].map(({ stdout, stderr }) => stdout + stderr).join(''), new RegExp([PASSWORD, TOKEN, SECRET, 'BEGIN PRIVATE'].join('|')))
})

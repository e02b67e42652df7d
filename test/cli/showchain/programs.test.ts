/** `relay showchain`, `peer showchain serve` and `connect` as their users run them. */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { askControl } from '../../helpers/cli/control.ts'
import { ask, tcpService, User } from '../../helpers/cli/gotunnel.ts'
import { idOf, keyFolder, LAPTOP, NAS } from '../../helpers/cli/showchain.ts'
import { eventually } from '../../helpers/network/traffic.ts'
import { readCapture } from '../../helpers/pcapng.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'

t.test('a service, users, status, explain, a capture, who may connect, and an orderly end', { timeout: 110_000 }, async (t) => {
  const folder = keyFolder(t, 'relay', 'nas', 'laptop')
  const [env, nasEnv, laptopEnv, ids, pcap] = [homeEnv(), homeEnv(), homeEnv(), join(folder, 'friends.ids'), join(folder, 'x.pcapng')]
  writeFileSync(ids, `# friends\n${LAPTOP} # the laptop\n`)
  const key = (name: string): string => join(folder, `${name}.pem`)
  const relay = startProgram(t, 'relay', ['showchain', '--listen', 'udp://127.0.0.1:0', '--identity', key('relay')], { env })
  const [, at] = await relay.find(/^ready showchain udp:\/\/(127\.0\.0\.1:\d+)$/m)
  const service = await tcpService(t, 'service')
  const nas = startProgram(t, 'peer', ['showchain', 'serve', '--to', String(service.port), '--allow', `@${ids}`, '--identity', key('nas'), '--bootstrap', at], { env: nasEnv })
  await nas.find(/^ready showchain udp:\/\/0\.0\.0\.0:\d+$/m)
  const laptop = startProgram(t, 'peer', ['showchain', 'connect', NAS, '--listen', '127.0.0.1:0', '--identity', key('laptop'), '--bootstrap', at, '--metrics', '0', '--json'], { env: laptopEnv })
  const [, port] = await laptop.find(/"event":"ready","protocol":"showchain","url":"tcp:\/\/127\.0\.0\.1:(\d+)"/)
  const capture = startProgram(t, 'peer', ['capture', '--write', pcap], { env: laptopEnv })
  await capture.find(/capturing to/, 'stderr')
  t.equal(await ask(Number(port), 'hello'), 'service:hello')
  const user = new User(t, Number(port))
  user.say('a')
  await user.hear('service:a')
  capture.signal('SIGINT')
  t.match(await capture.ended, { code: 0 })
  const { packets } = readCapture(readFileSync(pcap))
  t.ok(packets.length > 2 && packets.every(({ data }) => data[0] === 0x45 && data[9] === 17), 'datagrams as packets of UDP')
  t.match(await runProgram(t, 'peer', ['explain', NAS], { env: laptopEnv }), { code: 0, stdout: new RegExp(`^${NAS}: (nat|direct|proxy) 127\\.0\\.0\\.1:\\d+.*\\nthis peer connects to it\\n`, 's') })
  t.match(await runProgram(t, 'relay', ['explain', NAS], { env }), { code: 0, stdout: new RegExp(`^${NAS}: registered at 127\\.0\\.0\\.1:\\d+, NAT unknown`) })
  t.match(await runProgram(t, 'relay', ['explain', 'nas'], { env }), { code: 2, stderr: /not an id \("nas"\)/ })
  const [, metrics] = await laptop.find(/"protocol":"metrics","url":"([^"]+)"/)
  t.match(await (await fetch(`${metrics}/metrics`)).text(), new RegExp(`^tunpipe_showchain_node_users\\{node="${NAS}"\\} 1$`, 'm'))

  writeFileSync(ids, '# nobody\n')
  t.match(await runProgram(t, 'peer', ['reload'], { env: nasEnv }), { code: 2, stderr: /nobody may connect/ })
  user.say('b')
  await user.hear('service:ab')
  writeFileSync(ids, `${idOf('stranger')}\n`)
  t.match(await runProgram(t, 'peer', ['reload'], { env: nasEnv }), { code: 0, stdout: 'reloaded showchain: 1 node disconnected\n' })
  await user.closed
  await laptop.find(/"event":"offline","protocol":"showchain","node":"[0-9a-f]{64}"/)
  t.match((await askControl(nasEnv, 'peer-showchain', 'status')).services, [{ served: [] }])

  for (const program of [laptop, nas, relay]) {
    program.signal('SIGTERM')
    t.match(await program.ended, { code: 0 })
    t.notMatch(program.stdout + program.stderr, /PRIVATE KEY/)
  }
})

t.test('services that say nothing, that are down, and that reset: users see the same, and nothing is left of them', { timeout: 110_000 }, async (t) => {
  const folder = keyFolder(t, 'relay', 'nas', 'laptop')
  const [env, nasEnv, laptopEnv] = [homeEnv(), homeEnv(), homeEnv()]
  const key = (name: string): string => join(folder, `${name}.pem`)
  const relay = startProgram(t, 'relay', ['showchain', '--listen', 'udp://127.0.0.1:0', '--identity', key('relay')], { env })
  const [, at] = await relay.find(/^ready showchain udp:\/\/(127\.0\.0\.1:\d+)$/m)
  const accepted: Socket[] = []
  const service = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    accepted.push(socket)
  })
  const listen = (port: number): Promise<unknown> => once(service.listen(port, '127.0.0.1'), 'listening')
  await listen(0)
  t.teardown(() => {
    for (const socket of accepted) socket.destroy()
    service.close()
  })
  const { port: to } = service.address() as AddressInfo
  const nas = startProgram(t, 'peer', ['showchain', 'serve', '--to', String(to), '--allow', LAPTOP, '--identity', key('nas'), '--bootstrap', at], { env: nasEnv })
  await nas.find(/^ready showchain udp/m)
  const laptop = startProgram(t, 'peer', ['showchain', 'connect', NAS, '--listen', '127.0.0.1:0', '--identity', key('laptop'), '--bootstrap', at], { env: laptopEnv })
  const [, port] = await laptop.find(/^ready showchain tcp:\/\/127\.0\.0\.1:(\d+)/m)
  const users = async (): Promise<[here: number, there: number]> => {
    const [here, there] = [await askControl(laptopEnv, 'peer-showchain', 'status'), await askControl(nasEnv, 'peer-showchain', 'status')] as Array<{ services: any[] }>
    return [here.services[0].remotes[0].users, there.services[0].served[0].users]
  }
  const dial = async (count: number): Promise<[user: Socket, ended: Promise<string>, there: Socket]> => {
    const user = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true })
    t.teardown(() => { user.destroy() })
    const ended = new Promise<string>((resolve) => {
      user.once('error', (err: NodeJS.ErrnoException) => { resolve(String(err.code)) }).once('end', () => { resolve('end') }).resume()
    })
    user.write('hello')
    t.ok(await eventually(() => accepted.length === count || user.destroyed))
    return [user, ended, accepted[count - 1]]
  }

  const [silent, silentEnd, heard] = await dial(1)
  const [{ length }] = await once(heard, 'data')
  t.equal(length, 5)
  t.same(await users(), [1, 1], 'a service that says nothing: the user stays')
  silent.end()
  t.equal(await Promise.race([silentEnd, once(heard, 'end').then(() => 'half-closed')]), 'half-closed')
  t.same(await users(), [1, 1], 'half-closed')
  heard.end()
  t.equal(await silentEnd, 'end')
  t.ok(await eventually(async () => (await users()).every((count) => count === 0)))

  const [, resetEnd, resetting] = await dial(2)
  resetting.resetAndDestroy()
  t.equal(await resetEnd, 'ECONNRESET', 'a service that resets')
  const [leaving, , left] = await dial(3)
  const gone = new Promise<string>((resolve) => { left.once('error', (err: NodeJS.ErrnoException) => { resolve(String(err.code)) }).once('end', () => { resolve('end') }).resume() })
  leaving.resetAndDestroy()
  t.equal(await gone, 'ECONNRESET', 'a user that resets')
  t.ok(await eventually(async () => (await users()).every((count) => count === 0)))

  service.close()
  await once(service, 'close')
  const [, downEnd] = await dial(4)
  t.equal(await downEnd, 'ECONNRESET', 'a service that is down')
  await nas.find(/the service has not answered/, 'stderr')
  await laptop.find(/user refused/, 'stderr')
  await listen(to)
  const [back, , served] = await dial(4)
  t.equal(String((await once(served, 'data'))[0]), 'hello', 'a service that is up again')
  back.destroy()
  served.end()
  t.ok(await eventually(async () => (await users()).every((count) => count === 0)))
})

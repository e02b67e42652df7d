/**
 * Our programs with the real ones of gotunnel, where those are (T27). Nobody has them by chance, so this is no part of the suite:
 * `GOTUNNEL_SERVER_BIN=/usr/bin/gotunnel-server GOTUNNEL_CLIENT_BIN=/usr/bin/gotunnel-client npx tap test/e2e/gotunnel-originals.ts`.
 */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { startProgram, type Program } from '../helpers/programs/program.ts'
import { startPeer, tcpService, TOKEN, User } from '../helpers/cli/gotunnel.ts'
import { freePorts } from '../helpers/free-ports.ts'
import { vector } from '../helpers/gotunnel/vectors.ts'
import { dialSoon, frame, isRefused, Wire } from '../helpers/gotunnel/wire.ts'
import { exchange, exchangeService, Original } from '../helpers/gotunnel/original.ts'
import { eventually } from '../helpers/network/traffic.ts'

const { GOTUNNEL_SERVER_BIN, GOTUNNEL_CLIENT_BIN } = process.env

const USERS = 100
const BYTES = 10_000_000

/** Milliseconds after which a user has been left alone. */
const LONELY = 5000

/** Whether a user who speaks there has it back from the service of this name. */
async function talks (t: Test, port: number, name: string): Promise<boolean> {
  const user = new User(t, port)
  user.socket.setTimeout(LONELY, () => { user.socket.destroy() })
  try {
    await user.hear(`${name}:`)
    user.say('hello')
    await user.hear(`${name}:hello`)
    return true
  } catch {
    return false
  } finally {
    user.socket.destroy()
  }
}

/** Sooner or later, as the original says ok before it listens, and waits for 3 s before it connects again. */
const reaches = (t: Test, port: number, name: string): Promise<boolean> => eventually(() => talks(t, port, name))
const closes = (port: number): Promise<boolean> => eventually(() => isRefused(port))

async function startRelay (t: Test, control: number, ...args: string[]): Promise<Program> {
  const relay = startProgram(t, 'relay', ['gotunnel', '--listen', `127.0.0.1:${control}`, '--bind', '127.0.0.1', ...args], { env: { TUNPIPE_TOKEN: TOKEN } })
  await relay.find(/^ready gotunnel/m)
  return relay
}

async function kill (program: Program): Promise<void> {
  program.signal('SIGKILL')
  await program.ended
}

interface ClientInit {
  server: number
  remote: number
  local: number
  name?: string
  token?: string
}

const startClient = (t: Test, { server, remote, local, name = 'original', token = TOKEN }: ClientInit): Original =>
  new Original(t, String(GOTUNNEL_CLIENT_BIN), 'client', { name, token, server_addr: `127.0.0.1:${server}`, local_ports: [local], remote_port: remote, heartbeat_interval: 1, health_check_interval: 1 })

async function startServer (t: Test, control: number): Promise<Original> {
  const server = new Original(t, String(GOTUNNEL_SERVER_BIN), 'server', { addr: `127.0.0.1:${control}`, token: TOKEN })
  await server.says(/Control channel listening/)
  return server
}

if (GOTUNNEL_SERVER_BIN === undefined && GOTUNNEL_CLIENT_BIN === undefined) t.plan(0, 'only when asked for: set GOTUNNEL_SERVER_BIN or GOTUNNEL_CLIENT_BIN')

if (GOTUNNEL_CLIENT_BIN !== undefined) {
  await t.test('the bytes of a real client are those of the vectors', async (t) => {
    const wires: Wire[] = []
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      wires.push(new Wire(socket))
      server.emit('wire')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.close()
      for (const { socket } of wires) socket.destroy()
    })
    const nextWire = async (): Promise<Wire> => {
      while (wires.length === 0) await once(server, 'wire')
      return wires.shift() as Wire
    }
    const { inputs } = vector('register')
    startClient(t, { server: (server.address() as AddressInfo).port, remote: inputs.remote_port, local: inputs.local_port, name: inputs.name, token: inputs.token })
    const control = await nextWire()
    t.same(await control.frame(), vector('register').bytes)
    control.write(vector('register_resp_ok').bytes, vector('unknown_type').bytes, vector('empty_packet').bytes, vector('open_data_channel').bytes)
    const data = await nextWire()
    t.same(await data.frame(), vector('data_channel').bytes)
    data.write(vector('register_resp_fail').bytes)
    t.equal(await data.hasMore(), false)
    for (;;) {
      const message = await control.message()
      if (message?.type === 'offline_port') continue // nobody has to be on that port
      t.match(message, { type: 'ping', time: Number })
      break
    }

    const service = await tcpService(t, 'a')
    const { port } = server.address() as AddressInfo
    startClient(t, { server: port, remote: inputs.remote_port, local: service.port })
    const second = await nextWire()
    await second.frame()
    second.write(vector('register_resp_ok').bytes)
    t.match(await second.message(), { type: 'ping' })
    await service.close()
    const states = [] as Buffer[]
    for (let bytes = await second.frame(); bytes !== undefined && states.length < 2; bytes = await second.frame()) {
      if (bytes.includes('ping')) continue
      if (states.push(bytes) === 1) await tcpService(t, 'b', service.port)
      else break
    }
    t.same(states, [vector('offline_port').bytes, vector('online_port').bytes])
  })

  for (const mode of ['auto', 'compatible']) {
    await t.test(`T27: a real client at our relay, mode ${mode}`, { timeout: 240_000 }, async (t) => {
      const [control, remote] = await freePorts(2)
      let relay = await startRelay(t, control, '--mode', mode)

      await t.test(`${USERS} users at once, ${BYTES} bytes each way`, { timeout: 120_000 }, async (t) => {
        const client = startClient(t, { server: control, remote, local: await exchangeService(t, BYTES) })
        await client.says(/Port registration successful/)
        t.same(await Promise.all(Array.from({ length: USERS }, () => exchange(t, remote, BYTES))), Array(USERS).fill(true))
      })
      t.ok(await closes(remote), 'the client was killed, and the port is gone')

      const service = await tcpService(t, 'a')
      let client = startClient(t, { server: control, remote, local: service.port })
      t.ok(await reaches(t, remote, 'a'), 'the client is back')
      t.ok(await eventually(async () => service.sockets.size === 0), 'the service has seen its users leave')

      await kill(relay)
      await client.says(/Control channel disconnected/)
      relay = await startRelay(t, control, '--mode', mode)
      t.ok(await reaches(t, remote, 'a'), 'the relay was killed and is back')

      await service.close()
      await client.says(/sending offline_port/)
      t.ok(await closes(remote), 'the service is gone, and so is the port')
      await tcpService(t, 'b', service.port)
      await client.says(/sending online_port/)
      t.ok(await reaches(t, remote, 'b'), 'both are back')
      await client.kill()

      client = startClient(t, { server: control, remote, local: service.port, token: 'another' })
      await client.says(/register failed: authentication failed/)
      t.ok(await isRefused(remote))
      await client.kill()
      relay.signal('SIGTERM')
      t.match(await relay.ended, { code: 0 })
    })
  }

  await t.test('T27: a real client is refused by our relay in strict mode, and told why', async (t) => {
    const [control, remote] = await freePorts(2)
    await startRelay(t, control, '--mode', 'strict')
    await startClient(t, { server: control, remote, local: 9 }).says(/register failed: strict mode required/)
  })

  await t.test('T27, D1: several real clients at our relay, and two with one port', { timeout: 120_000 }, async (t) => {
    const [control, remote, ...others] = await freePorts(5)
    const relay = await startRelay(t, control)
    const [a, b] = [await tcpService(t, 'a'), await tcpService(t, 'b')]
    for (const other of others) startClient(t, { server: control, remote: other, local: (await tcpService(t, String(other))).port, name: `client ${other}` })
    for (const other of others) t.ok(await reaches(t, other, String(other)))

    const first = startClient(t, { server: control, remote, local: a.port, name: 'first' })
    t.ok(await reaches(t, remote, 'a'))
    const user = new User(t, remote)
    await user.hear('a:')
    const second = startClient(t, { server: control, remote, local: b.port, name: 'second' })
    await second.says(/Port registration successful/)
    t.ok(await talks(t, remote, 'b'), 'the newcomer has it, at once')
    user.say('still here')
    await user.hear('a:still here')
    await first.says(/Control channel disconnected.*[^]*Port registration successful/)
    t.ok(await talks(t, remote, 'a'), 'and loses it to the next')
    await second.says(/Control channel disconnected.*[^]*Port registration successful/)
    t.ok(await talks(t, remote, 'b'))
    await first.kill()
    await relay.find(/"name":"first".*"reason":"replaced".*"client gone"/, 'stderr')
    t.ok(await talks(t, remote, 'b'), 'the end of the first is none of the second')
    for (const other of others) t.ok(await talks(t, other, String(other)), 'nor of the others')
  })
}

if (GOTUNNEL_SERVER_BIN !== undefined) {
  await t.test('the bytes of a real server are those of the vectors', async (t) => {
    const [control, remote] = await freePorts(2)
    await startServer(t, control)
    const { inputs } = vector('register')
    const stranger = await Wire.dial(control)
    stranger.write(vector('register').bytes)
    t.same(await stranger.frame(), vector('register_resp_fail').bytes)
    t.equal(await stranger.frame(), undefined)
    const client = await Wire.dial(control)
    client.write(frame({ ...inputs, remote_port: remote, token: TOKEN }))
    t.same(await client.frame(), vector('register_resp_ok').bytes)
    const user = await dialSoon(remote)
    user.write('early ')
    t.same(await client.frame(), vector('open_data_channel').bytes)
    const data = await Wire.dial(control)
    data.write(Buffer.concat([frame({ ...vector('data_channel').inputs, remote_port: remote, token: TOKEN }), Buffer.from('welcome')]))
    t.same(await data.frame(), vector('register_resp_ok').bytes)
    t.equal(await data.text(6), 'early ')
    t.equal(await user.text(7), 'welcome')
    client.send({ type: 'ping', time: 0 })
    const pong = await client.frame()
    t.same(pong, frame({ type: 'pong', time: JSON.parse(String(pong?.subarray(4))).time }))
    for (const { socket } of [client, user, data]) socket.destroy()
  })

  await t.test('T27: our peer at a real server', { timeout: 240_000 }, async (t) => {
    const [control, remote, many] = await freePorts(3)
    const at = { port: control }
    let server = await startServer(t, control)
    const service = await tcpService(t, 'a')
    const start = (): Program => startPeer(t, at, ['--map', `${remote}:${service.port}`, '--probe-interval', '1', '--json']).program
    let peer = start()
    await peer.find(/"event":"online".*"mode":"compatible"/)
    t.ok(await reaches(t, remote, 'a'))
    t.ok(await eventually(async () => service.sockets.size === 0), 'the service has seen its users leave')

    await t.test(`${USERS} users at one time, ${BYTES} bytes each way`, { timeout: 120_000 }, async (t) => {
      const { program } = startPeer(t, at, ['--map', `${many}:${await exchangeService(t, BYTES)}`, '--probe-interval', '0'])
      await program.find(/^ready gotunnel/m)
      const probe = await dialSoon(many) // it says ok before it listens
      await probe.bytes(1)
      probe.socket.destroy()
      const users: Array<Promise<boolean>> = []
      for (let i = 0; i < USERS; i++) {
        // The frames of a real server get mixed up when users come at once (D5)
        await new Promise<void>((resolve, reject) => {
          const user = exchange(t, many, BYTES, resolve)
          user.catch(reject)
          users.push(user)
        })
      }
      t.same(await Promise.all(users), Array(USERS).fill(true))
    })

    await server.kill()
    await peer.find(/"event":"offline"/)
    server = await startServer(t, control)
    t.ok(await reaches(t, remote, 'a'), 'the server was killed and is back')

    await kill(peer)
    await server.says(/Control channel exited/)
    t.ok(await closes(remote), 'the peer was killed, and the port is gone')
    peer = start()
    t.ok(await reaches(t, remote, 'a'), 'both are back')

    const user = new User(t, remote)
    await user.hear('a:')
    await service.close()
    await peer.find(/"event":"service".*"state":"down"/)
    await server.says(/Client requested offline port/)
    t.ok(await closes(remote), 'the service is gone, and so is the port')
    await tcpService(t, 'b', service.port)
    await peer.find(/"event":"service".*"state":"up"/)
    t.ok(await reaches(t, remote, 'b'), 'both are back (D2)')
    user.say('still here')
    await user.hear('a:still here')
    peer.signal('SIGTERM')
    t.match(await peer.ended, { code: 0 })
  })

  await t.test('T27: our peer is refused by a real server', async (t) => {
    const [control, remote] = await freePorts(2)
    const server = await startServer(t, control)
    const stranger = await startPeer(t, { port: control }, ['--map', `${remote}:22`], 'another').program.ended
    t.match(stranger, { code: 1, stderr: /^\[ERROR\]\[1002\] Authentication failed: the server does not know this token/m })
    const strict = await startPeer(t, { port: control }, ['--map', `${remote}:22`, '--mode', 'strict']).program.ended
    t.match(strict, { code: 1, stderr: /the server does not offer strict mode/ })
    await server.says(/Control channel exited/)
    t.ok(await closes(remote), 'and has left the port')
  })
}

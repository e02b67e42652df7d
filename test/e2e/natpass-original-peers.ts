/**
 * Our peer with the real programs of natpass: controlled end of a real client, control end of another, and both ends through the real server.
 * NATPASS_CLIENT_BIN and NATPASS_SERVER_BIN name them; what is not named is left out. Needs a network of its own: `unshare -n`.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { forwarder } from '../helpers/forwarder.ts'
import { freePorts } from '../helpers/free-ports.ts'
import { SECRET } from '../helpers/natpass/client.ts'
import { LINE_BYTES } from '../helpers/natpass/numbered-lines.ts'
import { NATPASS_CLIENT_BIN, NATPASS_SERVER_BIN, startOriginalClient } from '../helpers/natpass/original.ts'
import { startOriginal, startRelay, type ServerUnderTest } from '../helpers/natpass/servers.ts'
import { ask, ShellUser } from '../helpers/natpass/shell-user.ts'
import { homeEnv, newHome } from '../helpers/programs/homes.ts'
import { startProgram, type Program } from '../helpers/programs/program.ts'

const TIMEOUT = 120_000
/** How often the ways are cut, and lines in between. */
const CUTS = 10
const PIECE = 20_000

const BYTES = Number(process.env.MEGABYTES ?? 20) * 1_000_000

const servers: Array<[name: string, start: (t: Test) => Promise<ServerUnderTest>]> = [['our relay', (t) => startRelay(t)]]
if (NATPASS_SERVER_BIN !== undefined) servers.push(['the original server', startOriginal])

/** Starts our peer with a file, and waits until it is online. */
async function startPeer (t: Test, port: number, lines: string[]): Promise<Program> {
  const file = join(newHome(), 'peer.yaml')
  writeFileSync(file, ['natpass:', `server: 127.0.0.1:${port}`, `secret: ${SECRET}`, ...lines].join('\n  '), { mode: 0o600 })
  const peer = startProgram(t, 'peer', ['--config', file, '--control', 'none'], { env: homeEnv() })
  await peer.find(new RegExp(`^ready natpass tcp://127\\.0\\.0\\.1:${port}$`, 'm'))
  return peer
}

async function echoService (t: Test): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => { socket.on('error', () => {}).pipe(socket) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}

for (const [name, start] of servers) {
  if (NATPASS_CLIENT_BIN !== undefined) {
    t.test(`a real control end and our peer, by ${name}`, { timeout: TIMEOUT }, async (t) => {
      const { port } = await start(t)
      const [shell, bench, forbidden] = await freePorts(3)
      await startPeer(t, port, ['id: nas', 'allow: [ "shell@laptop", bench ]'])
      await startOriginalClient(t, { server: port, id: 'laptop', rules: [{ name: 'sh', target: 'nas', type: 'shell', local_port: shell, exec: '/bin/sh', env: ['WORD=a word'] }, { name: 'bench', target: 'nas', type: 'bench', local_port: bench }] })
      await startOriginalClient(t, { server: port, id: 'stranger', rules: [{ name: 'sh', target: 'nas', type: 'shell', local_port: forbidden }] })
      const user = await ShellUser.openSoon(t, shell)
      user.type('stty -echo; PS1=; echo "<$WORD>" $((40 + 2))\n')
      await user.hears(/<a word> 42/)
      t.match(await ask(shell, '/resize', { form: { id: user.id, rows: '33', cols: '101' } }), { status: 200, text: 'ok' })
      user.type('stty size\n')
      await user.hears(/33 101/)
      await user.quiet()
      const { count, gaps } = await user.burst(BYTES / LINE_BYTES)
      t.same([count, gaps.slice(0, 3)], [BYTES / LINE_BYTES, []], 'all lines, in order')
      t.match(await ask(bench, '/'), { status: 200 })
      await t.rejects(ShellUser.openSoon(t, forbidden), { message: '502 shell is not allowed here' })
    })

    t.test(`our page and a real controlled end, by ${name}`, { timeout: TIMEOUT }, async (t) => {
      const { port } = await start(t)
      await startOriginalClient(t, { server: port, id: 'nas' })
      const peer = await startPeer(t, port, ['id: laptop', 'rules:', '  - { name: sh, target: nas, type: shell, exec: /bin/sh }', '  - { name: none, target: absent, type: shell }'])
      const [page, absent] = [...peer.stdout.matchAll(/^ready natpass (http:.*)$/mg)].map(([, url]) => url)
      const response = await fetch(`${page}/new`, { method: 'POST' })
      const id = await response.text()
      t.equal(response.status, 200, id)
      const socket = new WebSocket(`${page.replace('http', 'ws')}/ws/${id}`)
      t.teardown(() => { socket.terminate() })
      let heard = ''
      let wake = (): void => {}
      socket.on('message', (message: Buffer) => {
        heard += message.toString('latin1')
        wake()
      })
      const hears = async (pattern: RegExp): Promise<void> => {
        while (!pattern.test(heard)) await new Promise<void>((resolve) => { wake = resolve })
      }
      await once(socket, 'open')
      socket.send('echo $((40 + 2))=\n')
      await hears(/42=/)
      t.equal((await fetch(`${page}/resize`, { method: 'POST', body: new URLSearchParams({ id, rows: '33', cols: '101' }) })).status, 200)
      socket.send('stty size\n')
      await hears(/33 101/)
      socket.send(`stty -echo; seq -f %019.0f 1 ${BYTES / 20} | sha256sum; seq -f %019.0f 1 ${BYTES / 100}; echo ov""er\n`)
      await hears(/over/)
      const numbers = heard.match(/^\d{19}/mg) ?? []
      t.equal(numbers.length, BYTES / 100, 'all lines')
      t.ok(numbers.every((number, i) => Number(number) === i + 1), 'in order')
      t.match(await (await fetch(`${absent}/new`, { method: 'POST' })).text(), name === 'our relay' ? /absent is not connected/ : /./)
    })
  }

  t.test(`our peers at both ends, by ${name}: ports with credit and half-close, and a shell`, { timeout: TIMEOUT }, async (t) => {
    const { port } = await start(t)
    await startPeer(t, port, ['id: nas', 'allow: [ "tcp,shell@laptop" ]'])
    const peer = await startPeer(t, port, ['id: laptop', 'rules:', `  - { name: echo, target: nas, type: tcp, remote_port: ${await echoService(t)} }`, '  - { name: sh, target: nas, type: shell }'])
    const [, local] = await peer.find(/^ready natpass tcp:\/\/127\.0\.0\.1:(\d+)$/m)
    const content = Buffer.alloc(BYTES, 'natpass by credit ')
    const users = await Promise.all(Array.from({ length: 4 }, async () => {
      const user = connect({ port: Number(local), host: '127.0.0.1', allowHalfOpen: true })
      user.end(content)
      const hash = createHash('sha256')
      for await (const read of user) hash.update(read)
      return hash.digest('hex')
    }))
    t.same(users, Array(4).fill(createHash('sha256').update(content).digest('hex')), `${BYTES} bytes there and back, four at once`)
    const [, page] = await peer.find(/^ready natpass (http:.*)$/m)
    t.equal((await fetch(`${page}/new`, { method: 'POST' })).status, 200)
  })

  t.test(`our peers at both ends, by ${name}: a shell whose ways are cut while it writes`, { timeout: TIMEOUT }, async (t) => {
    const { port } = await start(t)
    const ways = [await forwarder(t, port), await forwarder(t, port)]
    await startPeer(t, ways[0].port, ['id: nas', 'allow: [ "shell@laptop" ]'])
    const peer = await startPeer(t, ways[1].port, ['id: laptop', 'rules:', '  - { name: sh, target: nas, type: shell, exec: /bin/sh }'])
    const [, page] = await peer.find(/^ready natpass (http:.*)$/m)
    const id = await (await fetch(`${page}/new`, { method: 'POST' })).text()
    const socket = new WebSocket(`${page.replace('http', 'ws')}/ws/${id}`)
    t.teardown(() => { socket.terminate() })
    let heard = ''
    let told: object = {}
    let wake = (): void => {}
    socket.on('message', (message: Buffer, isBinary: boolean) => {
      if (isBinary) heard += message.toString('latin1')
      else told = JSON.parse(message.toString())
      wake()
    })
    await once(socket, 'open')
    socket.send(`stty -echo; PS1=; i=0; while [ $i -lt ${CUTS + 1} ]; do seq -f %019.0f $((i * ${PIECE} + 1)) $(((i + 1) * ${PIECE})); echo part $i; i=$((i + 1)); sleep 0.2; done; exit 7\n`)
    for (let cut = 0; cut < CUTS; cut++) {
      while (!heard.includes(`part ${cut}`)) await new Promise<void>((resolve) => { wake = resolve })
      ways[cut % 2].cut()
    }
    await once(socket, 'close')
    const numbers = heard.match(/^\d{19}(?=\r$)/mg) ?? []
    t.equal(numbers.length, (CUTS + 1) * PIECE, 'all lines')
    t.equal(numbers.findIndex((number, i) => Number(number) !== i + 1), -1, 'in order')
    t.match(told, { type: 'exit', code: 7 })
  })
}

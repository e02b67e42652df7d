/**
 * code-server with the real programs of natpass: the page of a real client on our controlled end, ours on that of a real client, by our relay and by
 * the real server. NATPASS_CLIENT_BIN and NATPASS_SERVER_BIN name them; without the second one only our relay is in between. A program of the
 * tests takes the place of code-server. Needs a network of its own: `unshare -n`. LOAD_SECONDS is how long each pair is under load.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { freePorts } from '../helpers/free-ports.ts'
import { SECRET } from '../helpers/natpass/client.ts'
import { CodeBrowser, installCodeServer } from '../helpers/natpass/code.ts'
import { NATPASS_CLIENT_BIN, NATPASS_SERVER_BIN, startOriginalClient } from '../helpers/natpass/original.ts'
import { startOriginal, startRelay, type ServerUnderTest } from '../helpers/natpass/servers.ts'
import { eventually } from '../helpers/network/traffic.ts'
import { homeEnv, newHome } from '../helpers/programs/homes.ts'
import { startProgram } from '../helpers/programs/program.ts'

const SECONDS = Number(process.env.LOAD_SECONDS ?? 10)
const [SMALL, LARGE] = [30_000, 2_000_000]

type Kind = 'real' | 'ours'

installCodeServer(t)

const servers: Array<[name: string, start: (t: Test) => Promise<ServerUnderTest>]> = [['our relay', (t) => startRelay(t)]]
if (NATPASS_SERVER_BIN !== undefined) servers.push(['the original server', startOriginal])

async function startPeer (t: Test, port: number, lines: string[]): Promise<void> {
  const file = join(newHome(), 'peer.yaml')
  writeFileSync(file, ['natpass:', `server: 127.0.0.1:${port}`, `secret: ${SECRET}`, ...lines].join('\n  '), { mode: 0o600 })
  const peer = startProgram(t, 'peer', ['--config', file, '--control', 'none'], { env: { ...homeEnv(), PATH: String(process.env.PATH) } })
  await peer.find(new RegExp(`^ready natpass tcp://127\\.0\\.0\\.1:${port}$`, 'm'))
}

const ends: Record<Kind, (t: Test, server: number) => Promise<unknown>> = {
  real: (t, server) => startOriginalClient(t, { server, id: 'nas', codedir: join(newHome(), 'code'), env: { PATH: String(process.env.PATH) } }),
  ours: (t, server) => startPeer(t, server, ['id: nas', 'allow: [ "code@laptop" ]', `codedir: ${join(newHome(), 'code')}`])
}

const pages: Record<Kind, (t: Test, server: number, page: number) => Promise<unknown>> = {
  real: (t, server, page) => startOriginalClient(t, { server, id: 'laptop', rules: [{ name: 'ide', target: 'nas', type: 'code-server', local_port: page }] }),
  ours: (t, server, page) => startPeer(t, server, ['id: laptop', 'rules:', `  - { name: ide, target: nas, type: code-server, local_port: ${page} }`])
}

for (const [serverName, startServer] of servers) {
  for (const [page, end] of [['real', 'real'], ['real', 'ours'], ['ours', 'real']] as Array<[Kind, Kind]>) {
    t.test(`a ${page} page, a ${end} controlled end, by ${serverName}`, { skip: NATPASS_CLIENT_BIN === undefined ? 'NATPASS_CLIENT_BIN names no np-cli' : false, timeout: (SECONDS + 120) * 1000 }, async (t) => {
      const { port } = await startServer(t)
      const [pagePort] = await freePorts(1)
      await ends[end](t, port)
      await pages[page](t, port, pagePort)
      const browser = new CodeBrowser(`http://127.0.0.1:${pagePort}`)
      let location = ''
      t.ok(await eventually(async () => {
        const { status, headers } = await browser.open('/forward/ide/').catch(() => ({ status: 0, headers: {} as Record<string, string> }))
        location = headers.location ?? ''
        return status === 307
      }), 'a link')
      t.match(await browser.get(location), { status: 200, text: 'hello' })
      t.match(await browser.get('/forward/ide/nothing?a=b'), { status: 404, text: 'nothing here' })
      const { body } = await browser.get('/forward/ide/echo', { method: 'POST', body: Buffer.alloc(SMALL, 'body ') })
      t.ok(body.equals(Buffer.alloc(SMALL, 'body ')), 'a body there and back')
      t.equal((await browser.get(`/forward/ide/bytes?count=${LARGE}`)).body.length, LARGE, 'a large answer')

      const socket = new WebSocket(`ws://127.0.0.1:${pagePort}/forward/ide/socket`, { headers: { cookie: String(browser.cookie) }, perMessageDeflate: false })
      const heard: string[] = []
      socket.on('message', (data: Buffer) => { heard.push(data.toString()) })
      socket.on('error', () => {})
      await new Promise((resolve, reject) => { socket.once('open', resolve).once('error', reject) })
      socket.send('a word')
      t.ok(await eventually(async () => heard.includes('a word')), 'a WebSocket')
      const until = Date.now() + SECONDS * 1000
      let count = 0
      for (; Date.now() < until; count++) {
        heard.length = 0
        const text = `${count} ${'x'.repeat(1000)}`
        socket.send(text)
        const answers = await Promise.all(Array.from({ length: 4 }, () => browser.get('/forward/ide/bytes?count=20000')))
        if (answers.some(({ body }) => body.length !== 20_000)) throw new Error(`answers of ${String(answers.map(({ status, body }) => `${status}: ${body.length}`))}`)
        if (!await eventually(async () => heard.includes(text))) throw new Error('the WebSocket is silent')
      }
      t.ok(count > SECONDS, `${count} rounds in ${SECONDS} s of load`)
      socket.close()
    })
  }
}

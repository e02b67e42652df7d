/**
 * Desktops with the real programs of natpass: the viewer of a real client on our worker, ours on that of a real client, by our relay and by the
 * real server. NATPASS_CLIENT_BIN and NATPASS_SERVER_BIN name them; without the second one only our relay is in between. Needs Xvfb, xterm,
 * xev and xsetroot, and a network of its own: `unshare -n`. LOAD_SECONDS is how long each pair is under load.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DesktopUser } from '../helpers/natpass/desktop-user.ts'
import { freePorts } from '../helpers/free-ports.ts'
import { SECRET } from '../helpers/natpass/client.ts'
import { NATPASS_CLIENT_BIN, NATPASS_SERVER_BIN, startOriginalClient } from '../helpers/natpass/original.ts'
import { startOriginal, startRelay, type ServerUnderTest } from '../helpers/natpass/servers.ts'
import { homeEnv, newHome } from '../helpers/programs/homes.ts'
import { startCommand, startProgram, type Program } from '../helpers/programs/program.ts'
import { pressFirstKey, startX } from '../helpers/x11.ts'

const SECONDS = Number(process.env.LOAD_SECONDS ?? 10)
const [WIDTH, HEIGHT] = [640, 480]
const WHOLE = { x: 0, y: 0, width: WIDTH, height: HEIGHT }

type Kind = 'real' | 'ours'

const servers: Array<[name: string, start: (t: Test) => Promise<ServerUnderTest>]> = [['our relay', (t) => startRelay(t)]]
if (NATPASS_SERVER_BIN !== undefined) servers.push(['the original server', startOriginal])

async function startPeer (t: Test, port: number, lines: string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
  const file = join(newHome(), 'peer.yaml')
  writeFileSync(file, ['natpass:', `server: 127.0.0.1:${port}`, `secret: ${SECRET}`, ...lines].join('\n  '), { mode: 0o600 })
  const peer = startProgram(t, 'peer', ['--config', file, '--control', 'none'], { env: { ...homeEnv(), ...env } })
  await peer.find(new RegExp(`^ready natpass tcp://127\\.0\\.0\\.1:${port}$`, 'm'))
}

const controlled: Record<Kind, (t: Test, server: number, x: Screen) => Promise<unknown>> = {
  real: (t, server, { env }) => startOriginalClient(t, { server, id: 'nas', env }),
  ours: (t, server, { env }) => startPeer(t, server, ['id: nas', 'allow: [ "vnc@laptop" ]'], env)
}

const viewers: Record<Kind, (t: Test, server: number, page: number) => Promise<unknown>> = {
  real: (t, server, page) => startOriginalClient(t, { server, id: 'laptop', rules: [{ name: 'desk', target: 'nas', type: 'vnc', local_port: page, fps: 20 }] }),
  ours: (t, server, page) => startPeer(t, server, ['id: laptop', 'rules:', `  - { name: desk, target: nas, type: vnc, local_port: ${page}, fps: 20 }`])
}

interface Screen { readonly env: Readonly<Record<'DISPLAY' | 'XAUTHORITY', string>> }

/**
 * All may connect to it, but the original does not without a file of `xauth`. The first key is pressed before it is there: it takes what the X
 * server tells then for the answer of its next request, and never does anything again.
 */
async function startScreen (t: Test): Promise<Screen> {
  const authority = join(newHome(), 'Xauthority')
  const [code] = await once(spawn('xauth', ['-f', authority, 'add', ':0', '.', randomBytes(16).toString('hex')], { stdio: 'ignore' }), 'exit')
  if (code !== 0) throw new Error('xauth has failed')
  const x = await startX(t, { size: `${WIDTH}x${HEIGHT}` })
  await pressFirstKey(x)
  return { env: { ...x.env, XAUTHORITY: authority } }
}

async function paint (x: Screen, colour: string): Promise<void> {
  const [code] = await once(spawn('xsetroot', ['-solid', colour], { env: { ...process.env, ...x.env } }), 'exit')
  if (code !== 0) throw new Error('xsetroot has failed')
}

/** A window over the whole screen that tells its events. */
async function startEvents (t: Test, x: Screen): Promise<Program> {
  const events = startCommand(t, 'xev', ['-geometry', `${WIDTH}x${HEIGHT}+0+0`], { env: { ...homeEnv(), ...x.env } })
  await events.find(/Expose event/)
  return events
}

for (const [serverName, startServer] of servers) {
  for (const [viewer, end] of [['real', 'real'], ['real', 'ours'], ['ours', 'real']] as Array<[Kind, Kind]>) {
    t.test(`a ${viewer} viewer, a ${end} controlled end, by ${serverName}`, { skip: NATPASS_CLIENT_BIN === undefined ? 'NATPASS_CLIENT_BIN names no np-cli' : false, timeout: (SECONDS + 120) * 1000 }, async (t) => {
      const x = await startScreen(t)
      await paint(x, '#336699')
      const { port } = await startServer(t)
      const [page] = await freePorts(1)
      await controlled[end](t, port, x)
      await viewers[viewer](t, port, page)
      const user = await DesktopUser.open(t, page, { quality: 100, form: viewer === 'real' ? 'pixels' : 'encoded' })
      await user.shows(WHOLE, [0x33, 0x66, 0x99])
      t.pass('the whole screen')
      await paint(x, '#ccaa22')
      await user.shows(WHOLE, [0xcc, 0xaa, 0x22])
      t.pass('and what has changed')
      const load = startCommand(t, 'xterm', ['-geometry', '100x30+0+0', '-e', 'sh', '-c', 'i=0; while :; do i=$((i + 1)); echo "line $i of a program that writes and writes"; done'], { env: { ...homeEnv(), ...x.env } })
      const before = user.rectangles
      await new Promise((resolve) => { setTimeout(resolve, SECONDS * 1000) })
      t.ok(user.rectangles - before > SECONDS * 20, `${user.rectangles - before} rectangles in ${SECONDS} s of load`)
      t.notOk(user.isClosed)
      load.signal('SIGKILL')
      await load.ended
      await paint(x, '#112233')
      await user.shows(WHOLE, [0x11, 0x22, 0x33])
      t.pass('the picture is whole after the load')
      const events = await startEvents(t, x)
      user.move(100, 90)
      await events.find(/MotionNotify event[^]*\(100,90\)/)
      user.button('left', 'down')
      user.button('left', 'up')
      await events.find(/ButtonRelease event[^]*button 1,/)
      user.scroll(0, -1)
      await events.find(/ButtonPress event[^]*button 5,/)
      for (const key of ['a', 'f5', 'enter']) {
        user.key(key, 'down')
        user.key(key, 'up')
      }
      await events.find(/keysym 0x61, a\)[^]*keysym 0xffc2, F5\)[^]*keysym 0xff0d, Return\)/)
      t.pass('pointer, wheel and keys arrive')
      events.signal('SIGTERM')
      await events.ended
      await paint(x, '#445566')
      await user.shows(WHOLE, [0x44, 0x55, 0x66])
      t.pass('and pictures go on')
      user.close()
    })
  }
}

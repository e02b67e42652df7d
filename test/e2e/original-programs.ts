/**
 * Our programs with the real ones, where those are: `CANDY_BIN` names candy, `CACAO_BIN` cacao. Nobody has them by chance, so this is
 * no part of the suite: `CANDY_BIN=/usr/bin/candy npx tap test/e2e/original-programs.ts`.
 *
 * cacao keeps its networks in a database that its web pages fill: `CACAO_STORAGE` is a folder with one, `CACAO_PATH` and
 * `CACAO_PASSWORD` are those of a network in it that gives addresses.
 */
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { newHome } from '../helpers/homes.ts'
import { Lab, type Namespace } from './namespaces.ts'
import { DEVICE, joined, PASSWORD, RANGE, startPeer, startRelay, type Program } from './programs.ts'
import { canRun } from './requirements.ts'
import { eventually, ping, reaches } from './traffic.ts'

const { CANDY_BIN, CACAO_BIN, CACAO_STORAGE, CACAO_PATH = '/', CACAO_PASSWORD = PASSWORD } = process.env

const SERVER = '192.0.2.1'
const PORT = 8080
const URL = `ws://${SERVER}:${PORT}`

/** A real client, with a folder of its own for what it keeps. */
function startOriginal (host: Namespace, settings: Record<string, string>): void {
  const folder = newHome()
  const config = join(folder, 'candy.cfg')
  writeFileSync(config, Object.entries(settings).map(([key, value]) => `${key} = "${value}"\n`).join(''))
  host.spawn('sh', ['-c', 'mkdir -p "$0" /var/lib/candy && mount --bind "$0" /var/lib/candy && exec "$@"', join(folder, 'lib'), String(CANDY_BIN), '-c', config], { stdio: 'inherit' })
}

/** The address of the interface of a real client, once it has one. */
async function addressOf (host: Namespace, device: string): Promise<string> {
  let found: string | undefined
  await eventually(async () => {
    found = (await host.interface(device))?.addresses[0]
    return found !== undefined
  })
  if (found === undefined) throw new Error(`${device} of ${host.name} has no address`)
  return found.split('/')[0]
}

async function bothWays (t: Test, a: Namespace, addressOfA: string, b: Namespace, addressOfB: string): Promise<void> {
  t.ok(await reaches(a, addressOfB), `${addressOfA} to ${addressOfB}`)
  t.equal(await ping(a, addressOfB), 3)
  t.equal(await ping(b, addressOfA), 3)
}

const wanted = [CANDY_BIN, CACAO_BIN].some((path) => path !== undefined)
if (!wanted) {
  t.plan(0, 'only when asked for: set CANDY_BIN or CACAO_BIN')
} else if (await canRun(t)) {
  if (CANDY_BIN !== undefined) {
    await t.test('real candy clients at our relay', { timeout: 110_000 }, async (t) => {
      const lab = new Lab(t)
      const server = await lab.host('relay', `${SERVER}/24`)
      const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name, i) => lab.host(name, `192.0.2.${11 + i}/24`)))
      let relay = await startRelay(server, URL)
      const client = { mode: 'client', websocket: URL, password: PASSWORD }
      startOriginal(a, { ...client, name: 'one' })
      const addressOfA = await addressOf(a, 'candy-one')
      startOriginal(b, { ...client, name: 'two', tun: '10.77.0.200/24' })
      const ours = startPeer(c, { url: `${URL}/`, stateDir: newHome() })
      const addressOfC = await joined(ours)
      await bothWays(t, a, addressOfA, b, '10.77.0.200')
      await bothWays(t, a, addressOfA, c, addressOfC)
      await relay.stop('SIGKILL')
      relay = await startRelay(server, URL)
      t.ok(await reaches(c, addressOfA), 'after a restart of the relay')
    })

    await t.test('our peer at a real candy server', { timeout: 110_000 }, async (t) => {
      const lab = new Lab(t)
      const server = await lab.host('server', `${SERVER}/24`)
      const [a, b] = await Promise.all(['a', 'b'].map((name, i) => lab.host(name, `192.0.2.${11 + i}/24`)))
      startOriginal(server, { mode: 'server', websocket: URL, password: PASSWORD, dhcp: RANGE })
      const states = newHome()
      const peers = [a, b].map((host, i): Program => startPeer(host, { url: `${URL}/`, stateDir: join(states, String(i)) }))
      const [addressOfA, addressOfB] = await Promise.all(peers.map(joined))
      await bothWays(t, a, addressOfA, b, addressOfB)
      t.equal(await peers[0].stop(), 0)
      t.equal(await a.interface(DEVICE), undefined)
      t.equal(await joined(startPeer(a, { url: `${URL}/`, stateDir: join(states, '0') })), addressOfA, 'the same address again')
    })
  }

  if (CACAO_BIN !== undefined && CACAO_STORAGE !== undefined) {
    await t.test('our peer at a real cacao server', { timeout: 110_000 }, async (t) => {
      const lab = new Lab(t)
      const server = await lab.host('server', `${SERVER}/24`)
      const [a, b] = await Promise.all(['a', 'b'].map((name, i) => lab.host(name, `192.0.2.${11 + i}/24`)))
      const storage = join(newHome(), 'storage')
      cpSync(CACAO_STORAGE, storage, { recursive: true })
      server.spawn(CACAO_BIN, ['--listen', `:${PORT}`, '--storage', storage], { stdio: 'inherit' })
      const states = newHome()
      const [addressOfA, addressOfB] = await Promise.all([a, b].map((host, i) => joined(startPeer(host, { url: `${URL}${CACAO_PATH}`, password: CACAO_PASSWORD, stateDir: join(states, String(i)) }))))
      await bothWays(t, a, addressOfA, b, addressOfB)
    })
  }
}

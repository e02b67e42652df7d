/** `relay rustdesk --allow`, and the key that both halves ask for, with the real program. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PunchFailure, RegisterResult } from '../../../src/nodes/rustdesk/protocol/enums.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { askControl } from '../../helpers/cli/control.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram, type Program } from '../../helpers/programs/program.ts'
import { dialRelay, requestOf } from '../../helpers/rustdesk/relay.ts'
import { KEY, TcpClient } from '../../helpers/rustdesk/rendezvous.ts'

interface Run { relay: Program, port: number, relayPort: number, env: Record<string, string>, folder: string }

async function start (t: Test, args: readonly string[], extra: Record<string, string> = {}, folder = t.testdir({})): Promise<Run> {
  const [port, relayPort, env] = [await freePort(), await freePort(), { ...homeEnv(), ...extra }]
  const relay = startProgram(t, 'relay', ['rustdesk', '-p', String(port), '--relay-port', String(relayPort), '-b', '127.0.0.1', '--console', 'off', '--data', folder, ...args], { env })
  await relay.find(/^ready rustdesk ws:.*\n.*\nready rustdesk ws:.*$/m)
  return { relay, port, relayPort, env, folder }
}

const registered = async (t: Test, port: number, id: string): Promise<number | null | undefined> => {
  const client = await TcpClient.dial(t, port)
  return (await client.ask({ register_pk: { id, uuid: Buffer.from(id), pk: KEY } }))?.register_pk_response?.result
}

t.test('a list in a file, which a reload reads again', async (t) => {
  const folder = t.testdir({ list: '# machines\n123456789\n' })
  const list = join(folder, 'list')
  const { port, env, relay } = await start(t, ['--allow', `@${list}`], {}, folder)
  t.equal(await registered(t, port, '123456789'), RegisterResult.ok)
  t.equal(await registered(t, port, '987654321'), RegisterResult.notDeployed)
  writeFileSync(list, '987654321 # another one\n')
  t.match(await askControl(env, 'relay-rustdesk', 'reload'), { restart: [] })
  t.equal(await registered(t, port, '987654321'), RegisterResult.ok)
  t.equal(await registered(t, port, '123456789'), RegisterResult.notDeployed)
  writeFileSync(list, '# nobody\n')
  await t.rejects(askControl(env, 'relay-rustdesk', 'reload'), { message: /allow: nobody may register, as there is no id or a key in / })
  t.equal(await registered(t, port, '987654321'), RegisterResult.ok, 'the list stays')
  relay.signal('SIGTERM')
  await relay.ended
})

t.test('mistakes', async (t) => {
  const list = join(t.testdir({ list: 'short\n' }), 'list')
  t.match(await runProgram(t, 'relay', ['rustdesk', '--allow', `@${list}`]), { code: 2, stderr: /--allow: .*list:1: not an id or a key \("short"\), expected / })
  t.match(await runProgram(t, 'relay', ['rustdesk', '--allow', 'short']), { code: 2, stderr: /--allow: not whom to allow \("short"\), expected an id, a public key in base64, @FILE with one a line, or any/ })
})

const switches: Record<string, [string[], Record<string, string>]> = {
  '-k _': [['-k', '_'], {}],
  '--key -': [['--key', '-'], {}],
  'ENCRYPTED_ONLY=1': [[], { ENCRYPTED_ONLY: '1' }]
}

for (const [name, [args, extra]] of Object.entries(switches)) {
  t.test(`${name}: both halves ask for the key of the files`, async (t) => {
    const { relay, port, relayPort, folder } = await start(t, args, extra)
    const key = readFileSync(join(folder, 'id_ed25519.pub'), 'utf8')
    for (const wrong of ['', 'other']) {
      const client = await TcpClient.dial(t, port)
      t.equal((await client.ask({ punch_hole_request: { id: '123456789', licence_key: wrong } }))?.punch_hole_response?.failure, PunchFailure.licenseMismatch)
      const end = await dialRelay(t, relayPort)
      end.send(requestOf('a uuid', wrong))
      await end.closed
    }
    const client = await TcpClient.dial(t, port)
    t.equal((await client.ask({ punch_hole_request: { id: '123456789', licence_key: key } }))?.punch_hole_response?.failure, PunchFailure.idNotExist)
    const [b, a] = [await dialRelay(t, relayPort), await dialRelay(t, relayPort)]
    b.send(requestOf('a uuid', key), Buffer.from('hello'))
    a.send(requestOf('a uuid', key))
    t.equal(String(await a.next()), 'hello')
    relay.signal('SIGTERM')
    await relay.ended
  })
}

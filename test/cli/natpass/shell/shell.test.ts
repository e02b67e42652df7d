/** `peer natpass shell` in a real terminal, and with pipes in its place. */
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { failureOf, until } from '../../../helpers/ends.ts'
import { SECRET } from '../../../helpers/natpass/client.ts'
import { PLAIN, skipWithoutPty, startTestShell, Talk } from '../../../helpers/natpass/pty.ts'
import { serve } from '../../../helpers/natpass/serve.ts'
import { executable } from '../../../helpers/programs/executables.ts'
import { homeEnv } from '../../../helpers/programs/homes.ts'
import { runProgram, startProgram, type Ended } from '../../../helpers/programs/program.ts'
import { parsePeer } from '../../../../src/cli/peer-command.ts'
import { NatpassPeer } from '../../../../src/nodes/natpass/peer/peer.ts'
import type { Shell } from '../../../../src/nodes/natpass/peer/shell/shell.ts'

const PASSWORD = 'password of pages'

/** Two clients with the same rules. */
const config = (folder: string, port: number, id: string): string => `natpass:
  server: 127.0.0.1:${port}
  secret-file: ${folder}/secret
  id: ${id}
  page-password-file: ${folder}/password
  rules:
    - { name: sh, target: nas, type: shell, exec: /bin/sh, env: ["PS1=remote> ", ENV=, HOME=/nonexistent] }
    - { name: bash, target: nas, type: shell, exec: bash, env: [HOME=/nonexistent] }
    - { name: web, target: nas, type: tcp, remote_port: 80 }
    - { name: lost, target: nobody, type: shell }
`

interface Machine {
  /** Of the relay. */
  port: number
  nas: NatpassPeer
  env: Record<string, string>
  folder: string
  run (input: string, ...args: string[]): Promise<Ended>
  /** A terminal of its own size, with a local shell in it. */
  terminal (): Promise<{ talk: Talk, shell: Shell }>
}

let machine: Machine

t.before(async () => {
  const { port } = await serve(t)
  const nas = new NatpassPeer({ server: `127.0.0.1:${port}`, secret: SECRET, id: 'nas', allow: ['shell@laptop', 'shell@tablet'] })
  t.teardown(() => nas.close())
  const online = once(nas, 'online')
  await nas.start()
  await online
  const folder = t.testdir({ secret: SECRET, password: PASSWORD, wrong: 'another', 'laptop.yaml': config(t.testdirName, port, 'laptop'), 'moved.yaml': config(t.testdirName, port, 'laptop').replace('127.0.0.1', 'localhost'), 'tablet.yaml': config(t.testdirName, port, 'tablet') })
  const env = homeEnv()
  const laptop = startProgram(t, 'peer', ['--config', join(folder, 'laptop.yaml')], { env, cwd: folder })
  await laptop.find(/^ready natpass tcp:\/\/127\.0\.0\.1:\d+\n.*^ready natpass tcp:\/\/127\.0\.0\.1:\d+$/ms)
  machine = {
    port,
    nas,
    env,
    folder,
    run (input, ...args) {
      const program = startProgram(t, 'peer', ['natpass', 'shell', ...args], { env, cwd: folder, stdin: 'pipe' })
      program.child.stdin?.end(input)
      return program.ended
    },
    async terminal () {
      const own = { ...PLAIN, ...env, PEER: `${process.execPath} ${executable('peer')}`, FOLDER: folder, NODE_OPTIONS: undefined }
      const shell = await startTestShell(t, { own, size: { rows: 20, cols: 70 } })
      const talk = new Talk(shell)
      await talk.until('$ ')
      talk.type('cd "$FOLDER"; stty -g >before; is_restored () { echo "code=$?"; stty -g | cmp - before && echo restored; }\n')
      await talk.until('$ ')
      return { talk, shell }
    }
  }
})

/** The exit code; the terminal has to be as it was. */
async function codeOf (t: Test, talk: Talk): Promise<number> {
  await talk.until('code=')
  const code = await talk.until('\r\n')
  t.equal(await talk.until('\r\n'), 'restored')
  return Number(code)
}

t.test('a terminal', { skip: skipWithoutPty }, async (t) => {
  const { nas, terminal } = machine
  const { talk, shell } = await terminal()
  talk.type('$PEER natpass shell --page-password-file password sh; is_restored\n')
  await talk.until('remote> ')
  talk.type('while [ "$(stty size)" != "20 70" ]; do sleep 0.02; done; echo "has $((1)) size"\n')
  await talk.until('has 1 size\r\n')
  shell.resize(33, 101)
  talk.type('while [ "$(stty size)" != "33 101" ]; do sleep 0.02; done; echo "has $((1+1)) sizes"\n')
  await talk.until('has 2 sizes\r\n')
  talk.type("stty -opost; printf 'down\\nagain\\r\\n'; stty opost\n")
  await talk.until('down\nagain\r\n')
  talk.type('\r~?')
  await talk.until('~?  this text\r\n')
  talk.type('exit 3\n')
  t.equal(await codeOf(t, talk), 3)

  talk.type('$PEER natpass shell --page-password-file password --config laptop.yaml sh; is_restored\n')
  await talk.until('remote> ')
  t.equal(nas.status().links, 1)
  talk.type('~.')
  t.equal(await codeOf(t, talk), 0)
  await until(() => nas.status().links === 0)

  talk.type('sh -c \'echo "p""id=$$."; exec $PEER natpass shell --page-password-file password sh\'; is_restored\n')
  await talk.until('pid=')
  const pid = Number(await talk.until('.'))
  await talk.until('remote> ')
  process.kill(pid, 'SIGTERM')
  t.equal(await codeOf(t, talk), 143, 'as a program that does not know the signal')
  await until(() => nas.status().links === 0)

  talk.type('$PEER natpass --config tablet.yaml shell sh; is_restored\n')
  await talk.until('remote> ')
  talk.type('while [ "$(stty size)" != "33 101" ]; do sleep 0.02; done; echo "has $((1+2)) sizes"\n')
  await talk.until('has 3 sizes\r\n')
  talk.type('~.')
  t.equal(await codeOf(t, talk), 0)
  await until(() => nas.status().links === 0)
})

t.test('pipes', { skip: skipWithoutPty }, async (t) => {
  const { run } = machine
  for (const [code, input, ...args] of [
    [0, 'echo A$((40 + 2))\n', '--page-password-file', 'password', 'bash'],
    [0, 'cat\nA42', '--config', 'laptop.yaml', 'bash'], // one end of input for each of the two programs
    [137, '~.\necho A$((40 + 2)); kill -KILL $$\n', '--config', 'tablet.yaml', 'sh']
  ] as const) t.match(await run(input, ...args), { code, stdout: /A42\r\n/, stderr: '' }, args.join(' '))
  t.same(await run('', '--config', 'laptop.yaml', 'web'), { code: 2, stdout: '', stderr: 'rule "web" has the type tcp, expected sh, bash or lost\n' })
  t.match(await run('', '--help'), { code: 0, stderr: '', stdout: /^Usage: peer natpass shell \[options\] <rule>.*--page-password-file.*Examples:\n.*~\. at the beginning of a line leaves/s })
})

t.test('there is no shell', { skip: skipWithoutPty }, async (t) => {
  const { env, folder, nas } = machine
  Object.assign(process.env, env)
  const errorOf = async (...args: string[]): Promise<Error> => {
    const plan = parsePeer(['natpass', 'shell', ...args])
    if (plan === undefined || !('task' in plan)) throw new Error('no task')
    return await failureOf(plan.task())
  }
  const file = (name: string): string => join(folder, name)
  const password = ['--page-password-file', file('password')]
  t.match(await errorOf('x'), { code: 'ERR_USAGE', message: 'no rule "x", expected sh, bash or lost' })
  t.match(await errorOf('sh'), { code: 'ERR_SHELL_CONNECTION', message: /^the page of this rule has a password/ })
  t.match(await errorOf('--page-password-file', file('wrong'), 'sh'), { code: 'ERR_SHELL_CONNECTION', message: /^the password of the page is another one/ })
  t.match(await errorOf(...password, 'lost'), { code: 'ERR_SHELL_CONNECTION', message: 'no shell of nobody: nobody is not connected' })
  t.match(await errorOf('--config', file('tablet.yaml'), 'lost'), { code: 'ERR_SHELL_CONNECTION', message: 'no shell of nobody: nobody is not connected' })
  const [running, moved] = ['127.0.0.1', 'localhost'].map((host) => `${host}:${machine.port}`)
  t.match(await errorOf('--config', file('moved.yaml'), 'sh'), { code: 'ERR_USAGE', message: `--server: ${moved} is not what the peer "laptop" that runs here is connected to, expected ${running}` })
  t.match(await errorOf('--control', file('none'), 'sh'), { code: 'ERR_CONTROL', message: /^nobody listens at / })
  process.env.RUNTIME_DIRECTORY = homeEnv().RUNTIME_DIRECTORY
  t.match(await errorOf('sh'), { code: 'ERR_USAGE', message: /^--config: missing, as no peer of natpass runs here/ })
  process.env.TUNPIPE_SECRET = 'another secret'
  const { message } = await errorOf('--config', file('tablet.yaml'), 'sh')
  delete process.env.TUNPIPE_SECRET
  t.match(message, /^not connected to the server 127\.0\.0\.1:\d+: .*perhaps the secret/)
  t.equal(nas.status().links, 0)
  t.match(await runProgram(t, 'peer', ['natpass', 'shell']), { code: 2, stdout: '', stderr: /missing required argument 'rule'/ })
})

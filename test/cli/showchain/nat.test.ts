/** `peer showchain nat` against relays that run, and what `relay reload` changes for it. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askControl } from '../../helpers/cli/control.ts'
import { idOf, keyFolder } from '../../helpers/cli/showchain.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'

t.test('with one relay, with two that know each other, with one that is not there', { timeout: 110_000, skip: process.platform !== 'linux' && 'only one address of the loopback' }, async (t) => {
  const folder = keyFolder(t, 'relay', 'second', 'laptop')
  const [oneEnv, twoEnv, file] = [homeEnv(), homeEnv(), join(folder, 'relay.yaml')]
  const section = (more = ''): void => { writeFileSync(file, `showchain: { listen: "udp://127.0.0.1:0", identity: ${join(folder, 'relay.pem')}${more} }\n`) }
  const nat = (...argv: string[]): ReturnType<typeof runProgram> => runProgram(t, 'peer', ['showchain', 'nat', '--identity', join(folder, 'laptop.pem'), ...argv])
  section()
  // Of two addresses, as the kind takes: all of 127.0.0.0/8 are of this machine.
  const ready = /^ready showchain udp:\/\/(127\.0\.0\.\d:\d+)$/m
  const one = startProgram(t, 'relay', ['--config', file], { env: oneEnv })
  const [, first] = await one.find(ready)
  const two = startProgram(t, 'relay', ['showchain', '--listen', 'udp://127.0.0.2:0', '--identity', join(folder, 'second.pem'), '--bootstrap', first], { env: twoEnv })
  const [, second] = await two.find(ready)

  const alone = await nat('--bootstrap', first)
  t.match(alone, { code: 0, stderr: '' })
  t.match(alone.stdout, new RegExp(`^NAT unknown, which counts as T4\n  one relay alone does not tell: --bootstrap can be repeated\noutside 127\\.0\\.0\\.1:\\d+; .*\n\nRELAY .*\n${first} +registered `))

  const strangers = await nat('--bootstrap', second, '--bootstrap', first) // the one that is asked first does not know the other one
  t.match(strangers.stdout, /^NAT T\d.*, as far as could be tested\n {2}both relays see the same endpoint\n {2}whether what comes from an address that nothing was sent to gets in could not be tested: each relay has/)

  section(`, bootstrap: "${second}"`)
  t.match(await runProgram(t, 'relay', ['reload'], { env: oneEnv }), { code: 0, stdout: 'reloaded showchain: nodes stay registered\n' })
  await one.find(/registered with another helper/, 'stderr')
  t.match(await runProgram(t, 'relay', ['status', '--check'], { env: oneEnv }), { code: 0 })
  t.match((await askControl(oneEnv, 'relay', 'status')).services, [{ helpers: [{ name: second, isRegistered: true, id: idOf('second') }] }])

  const both = await nat('--bootstrap', first, '--bootstrap', second)
  t.match(both, { code: 0, stderr: '' })
  t.match(both.stdout, /^NAT T1, full cone or no NAT\n {2}both relays see the same endpoint\n {2}what comes from an address that nothing was sent to gets in\n/)
  const json = await nat('--bootstrap', first, '--bootstrap', second, '--json')
  t.match(json, { code: 0, stderr: '' })
  t.match(JSON.parse(json.stdout), { kind: 'T1', isCertain: true, isMappingIndependent: true, passesOtherHost: true, mapped: [/^127\.0\.0\.1:\d+$/], helpers: [{ name: first, id: idOf('relay') }, { name: second }] })

  section(', proxy: off')
  t.match(await runProgram(t, 'relay', ['reload'], { env: oneEnv }), { code: 0 })
  t.match((await askControl(oneEnv, 'relay', 'status')).services, [{ helpers: [], proxy: false }])
  t.match((await runProgram(t, 'relay', ['status'], { env: oneEnv })).stdout, /, no proxy$/m)
  writeFileSync(file, `showchain: { listen: "udp://127.0.0.1:1", identity: ${join(folder, 'second.pem')}, freshness: 20 }\n`)
  t.match(await runProgram(t, 'relay', ['reload'], { env: oneEnv }), { code: 0, stdout: /showchain\.listen.*showchain\.identity.*showchain\.freshness/s })
})

t.test('no relay answers', async (t) => {
  const silent = createSocket('udp4').bind(0, '127.0.0.1')
  t.teardown(() => { silent.close() })
  await once(silent, 'listening')
  const at = `127.0.0.1:${silent.address().port}`
  const { code, stdout, stderr } = await runProgram(t, 'peer', ['showchain', 'nat', '--bootstrap', at])
  t.same([code, stdout], [1, ''])
  t.match(stderr, new RegExp(`^peer: no relay answers: ${at} \\(no answer\\)\n$`))
})

/** Programs in real terminals. */
import { readlinkSync, writeFileSync, chmodSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { drain, first, hear, until } from '../../../../helpers/ends.ts'
import { PLAIN, skipWithoutPty, startTestShell, Talk } from '../../../../helpers/natpass/pty.ts'
import { ManualClock } from '../../../../helpers/clock.ts'
import { sessionOf } from '../../../../../src/nodes/natpass/peer/shell/session-processes.ts'
import { startShell } from '../../../../../src/nodes/natpass/peer/shell/shell.ts'

/** Whether a process runs; one that has ended and was not waited for does not. */
function isAlive (pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

/** Descriptors of terminals that this process has open. */
const terminals = (): number => readdirSync('/proc/self/fd').filter((fd) => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === '/dev/ptmx'
  } catch {
    return false
  }
}).length

t.test('sessionOf', async (t) => {
  t.equal(sessionOf('12 (a b) c) S 1 12 11 34816 12 4194560'), 11)
  t.ok(Number.isNaN(sessionOf('')))
})

t.test('real terminals', { skip: skipWithoutPty }, async (t) => {
  t.test('a prompt, variables and the size', async (t) => {
    const shell = await startTestShell(t, { env: ['TERM=vt220', 'WORD=first', 'WORD=a b'], size: { rows: 20, cols: 70 } })
    const talk = new Talk(shell)
    await talk.until('$ ')
    talk.type('echo "[$TERM][$WORD]"; stty size; stty -a | grep -o .iutf8\n')
    await talk.until('\r\n')
    t.equal(await talk.until('\r\n'), '[vt220][a b]')
    t.equal(await talk.until('\r\n'), '20 70')
    t.equal(await talk.until('\r\n'), ' iutf8')
    shell.resize(33, 101)
    talk.type('stty size\n')
    await talk.until('33 101\r\n')
    for (const [rows, cols] of [[70_000, 1], [1, 70_000], [0, 80], [24, 0], [-1, 80], [2.5, 80], [NaN, 80]]) {
      t.throws(() => { shell.resize(rows, cols) }, { code: 'ERR_SHELL_SIZE' }, `${rows} x ${cols}`)
    }
    shell.resize(65_535, 65_535)
    talk.type('stty size\n')
    await talk.until('65535 65535\r\n')
    talk.type('exit 3\n')
    await talk.ended
    t.same(await shell.exited, { code: 3, signal: undefined })
    shell.resize(1, 1)
  })

  t.test('the usual shell', async (t) => {
    const talk = new Talk(await startTestShell(t, { exec: '', own: { PATH: process.env.PATH, HOME: '/nonexistent' } }))
    talk.type('echo "[$0]"\n')
    await talk.until('[$0]')
    t.match(await talk.until(']'), /\[\S*\/(ba)?sh$/)
  })

  t.test('no shell', async (t) => {
    await t.rejects(startShell({ own: { PATH: '/nonexistent' } }), { code: 'ERR_SHELL_NONE', message: 'no shell command supported' })
    await t.rejects(startShell({ exec: 'no-such-program' }), { code: 'ERR_SHELL_START' })
  })

  t.test('bytes stay what they are', async (t) => {
    const talk = new Talk(await startTestShell(t))
    await talk.until('$ ')
    for (const bytes of ['\xc3\xa9', '\xe4', '\xff\xfe', '\xf0\x9f\x98\x80', '\0\x01\x80']) {
      talk.type(`printf '<${[...bytes].map((char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`).join('')}>'\n`)
      await talk.until('\n')
      t.equal((await talk.until('>')).replace(/^[^]*</, ''), bytes)
    }
    await talk.until('$ ') // else it could come behind what is typed, and in front of what that prints
    talk.type('stty raw -echo; echo begin; head -c 4 | od -An -tx1\n')
    await talk.until('\nbegin')
    talk.type(Uint8Array.of(0xff, 3, 4, 0xe4))
    await talk.until(' ff 03 04 e4')
  })

  t.test('a program that ends at once', async (t) => {
    const shell = await startTestShell(t, { exec: '/bin/true' })
    t.equal(await drain(shell.link.source), undefined)
    t.same(await shell.exited, { code: 0, signal: undefined })
    const failing = await startTestShell(t, { exec: '/bin/false' })
    t.equal(await drain(failing.link.source), undefined)
    t.same(await failing.exited, { code: 1, signal: undefined })
  })

  t.test('a program that cannot be started leaves nothing', async (t) => {
    const before = terminals()
    await t.rejects(startShell({ exec: '/nonexistent' }), { code: 'ERR_SHELL_START', message: /\/nonexistent.*ENOENT/ })
    await t.rejects(startShell({ exec: '/etc' }), { code: 'ERR_SHELL_START' })
    await t.rejects(startShell({ exec: '/bin/\0sh' }), { code: 'ERR_SHELL_START' })
    await t.rejects(startShell({ exec: `/${'x'.repeat(5000)}` }), { code: 'ERR_SHELL_START' })
    await t.rejects(startShell({ size: { rows: 24, cols: 70_000 } }), { code: 'ERR_SHELL_SIZE' })
    await t.rejects(startShell({ env: ['x'] }), { code: 'ERR_SHELL_ENVIRONMENT' })
    t.equal(terminals(), before)
    const folder = t.testdir()
    const broken = join(folder, 'broken')
    // A program whose loader does not exist: nothing but the attempt tells.
    writeFileSync(broken, readFileSync('/bin/true').toString('latin1').replace(/\/lib64\/ld-/g, '/lib99/ld-').replace(/\/lib\/ld-/g, '/lix/ld-'), 'latin1')
    chmodSync(broken, 0o755)
    await t.rejects(startShell({ exec: broken }), { code: 'ERR_SHELL_START', message: /No such file/ })
    await until(() => terminals() === before)
  })

  t.test('a program inherits no terminal of another one', async (t) => {
    const first = await startTestShell(t)
    const talk = new Talk(await startTestShell(t))
    await talk.until('$ ')
    talk.type('ls -l /proc/self/fd; echo done.\n')
    t.notMatch(await talk.until('\ndone.'), /ptmx/)
    t.ok(isAlive(first.pid))
  })

  t.test('the end of input', async (t) => {
    const shell = await startTestShell(t, { exec: '/bin/cat' })
    await shell.link.sink((async function * () { yield [Buffer.from('hello\n')] })())
    const talk = new Talk(shell)
    await talk.until('hello\r\nhello\r\n')
    await talk.ended
    t.same(await shell.exited, { code: 0, signal: undefined })
  })

  t.test('output that is read after the program has ended', async (t) => {
    const script = join(t.testdir({ script: '#!/bin/sh\nhead -c 50000 /dev/zero\nexit 7\n' }), 'script')
    chmodSync(script, 0o755)
    const clock = new ManualClock()
    const shell = await startTestShell(t, { exec: script, clock })
    await until(() => !isAlive(shell.pid))
    await clock.pass(10_000)
    t.equal((await hear(shell.link.source)).reduce((sum, { length }) => sum + length, 0), 50_000)
    t.same(await shell.exited, { code: 7, signal: undefined })
  })

  t.test('a signal', async (t) => {
    const shell = await startTestShell(t)
    const talk = new Talk(shell)
    talk.type('kill -TERM $$; kill -KILL $$\n')
    await talk.ended
    t.same(await shell.exited, { code: undefined, signal: 9 })
  })

  t.test('a program that leaves others in the terminal', async (t) => {
    const shell = await startTestShell(t)
    const talk = new Talk(shell)
    await talk.until('$ ')
    talk.type('sleep 1000 & echo "<$!>"; exit 5\n')
    await talk.until('exit 5')
    await talk.until('<')
    const pid = Number(await talk.until('>'))
    t.teardown(() => { process.kill(pid, 'SIGKILL') })
    await talk.ended
    t.same(await shell.exited, { code: 5, signal: undefined })
    t.ok(isAlive(pid), 'as it has ended by itself')
  })

  t.test('a program that leaves others behind which write for ever', async (t) => {
    const shell = await startTestShell(t)
    shell.link.port.send([Buffer.from('yes & exit 6\n')])
    await drain(shell.link.source)
    t.same(await shell.exited, { code: 6, signal: undefined })
  })

  t.test('closing while output waits for its reader', async (t) => {
    const shell = await startShell({ own: PLAIN, exec: '/usr/bin/yes' })
    t.equal((await first(shell.link.source)).subarray(0, 3).toString(), 'y\r\n')
    shell.link.abort(new Error('closed'))
    await t.rejects(first(shell.link.source), { message: 'closed' })
    t.match(await shell.exited, { code: undefined })
  })

  t.test('closing ends all that runs', async (t) => {
    const clock = new ManualClock()
    for (const trap of ['', "trap '' HUP; "]) {
      const starting = startShell({ exec: '/bin/sh', own: { PATH: process.env.PATH, PS1: '$ ' }, clock })
      const shell = await starting
      const talk = new Talk(shell)
      await talk.until('$ ')
      talk.type(`${trap}sleep 1000 & echo "<$!>"; sh -c 'sleep 1001 & echo "<$!>"; wait'\n`)
      await talk.until("wait'")
      const pids: number[] = [shell.pid]
      while (pids.length < 3) {
        await talk.until('<')
        pids.push(Number(await talk.until('>')))
      }
      t.same(pids.map(isAlive), [true, true, true])
      shell.link.abort(new Error('closed'))
      const setAt = clock.waiting
      t.ok(setAt.includes(500), 'killed half a second later')
      if (trap === '') await until(() => !isAlive(shell.pid))
      await clock.pass(500)
      await until(() => !pids.some(isAlive))
      t.match(await shell.exited, { code: undefined })
    }
  })

  t.test('a program that has closed its terminal', async (t) => {
    const clock = new ManualClock()
    const shell = await startShell({ exec: '/bin/sh', own: { PATH: process.env.PATH, PS1: '$ ' }, clock })
    const talk = new Talk(shell)
    await talk.until('$ ')
    talk.type('trap "" HUP; exec sleep 1000 < /dev/null > /dev/null 2>&1\n')
    await talk.ended
    await clock.pass(500)
    t.same(await shell.exited, { code: undefined, signal: 9 })
  })

  t.test('more input than the program reads', async (t) => {
    const shell = await startTestShell(t)
    const talk = new Talk(shell)
    await talk.until('$ ')
    talk.type('stty raw -echo; echo begin; read go < /dev/tty; head -c 1000000 | md5sum\n')
    await talk.until('\nbegin')
    const input = Buffer.alloc(1_000_000, 'äbc\x00\x03\x04')
    talk.type('go\n')
    talk.type(input)
    const { createHash } = await import('node:crypto')
    await talk.until(createHash('md5').update(input).digest('hex'))
  })

  t.test('input of a program that never reads', async (t) => {
    const shell = await startTestShell(t)
    const talk = new Talk(shell)
    await talk.until('$ ')
    talk.type('stty raw -echo; echo begin; sleep 1000\n')
    await talk.until('\nbegin')
    talk.type(Buffer.alloc(1_000_000, 'x'))
    await new Promise((resolve) => { setImmediate(resolve) }) // the process goes on
    t.ok(shell.link.port.queued > 0, 'it waits')
    shell.link.abort(new Error('closed'))
    t.same(await shell.exited.then(({ code }) => code), undefined)
  })
})

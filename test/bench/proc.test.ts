import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { cpuOf, residentOf } from '../../bench/lib/proc.ts'

t.test('what Linux knows of a process', { skip: process.platform !== 'linux' && 'Linux alone' }, async (t) => {
  const child = spawn(process.execPath, ['-e', `
    const kept = Buffer.alloc(64 << 20, 1)
    while (process.cpuUsage().user < 300_000);
    process.stdout.write(JSON.stringify({ cpu: process.cpuUsage(), rss: process.memoryUsage.rss() }))
    process.stdin.on('data', () => { process.exit(kept.length > 0 ? 0 : 1) })
  `], { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env.PATH } })
  const [text] = await once(child.stdout, 'data')
  const pid = child.pid as number
  const { cpu, rss } = JSON.parse(String(text))
  // the clock has ticks of 10 ms, each for user and system; the process has done little since
  const counted = cpu.user + cpu.system
  const found = cpuOf(pid)
  t.ok(found >= counted - 20_000, `${found} of ${counted} us`)
  t.ok(residentOf(pid) > rss / 2, `${residentOf(pid)} of ${rss} bytes`)
  child.stdin.end('end')
  await once(child, 'exit')
  t.throws(() => cpuOf(pid), { code: 'ENOENT' })
})

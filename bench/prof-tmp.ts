import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Pair } from './natpass-relay/load.ts'
import { fork } from 'node:child_process'
const size = Number(process.argv[2]); const script = process.argv[3]; const dir = process.argv[4]
const child = fork(new URL(`./natpass-relay/${script}.js`, import.meta.url), { env: { ...process.env, BENCH_PASSWORD: 'x' }, execArgv: [...(process.env.GCFLAGS ?? '').split(' ').filter(Boolean), '--expose-gc', '--cpu-prof', `--cpu-prof-dir=${dir}`] })
const [{ port }] = await once(child, 'message')
spawn('taskset', ['-acp', '0', String(child.pid)], { stdio: 'ignore' }); spawn('taskset', ['-acp', '1', String(process.pid)], { stdio: 'ignore' })
const pair = await Pair.open(port, 'x', size)
const usage = async () => { child.send({}); return (await once(child, 'message'))[0].cpu }
for (let i = 0; i < 4; i++) { pair.start(); const [c, d] = [await usage(), pair.delivered]; await delay(1500); const [c2, d2] = [await usage(), pair.delivered]; await pair.stop(); console.log(script, size, 'per CPU s', Math.round((d2 - d) / (c2 - c) * 1e6), 'per s', Math.round((d2 - d) / 1.5)) }
child.disconnect(); await once(child, 'exit'); process.exit()

import { randomBytes } from 'node:crypto'
import { churn, download, upload } from './gotunnel/users.ts'
import { BenchProcess } from './process.ts'
const start = async (script: string, env: Record<string, string | number> = {}): Promise<BenchProcess> =>
    await BenchProcess.start(`./gotunnel/${script}.js`, Object.fromEntries(Object.entries(env).map(([key, value]) => [key, String(value)])))
const BENCH_PASSWORD = randomBytes(8).toString('hex')
const service = await start('service')
const relay = await start('tunpipe-relay', { BENCH_PASSWORD })
const peer = await start('tunpipe-peer', { BENCH_PASSWORD, BENCH_SERVER: relay.port, BENCH_TARGET: service.port })
const back = await start('pipe-hop', { BENCH_TARGET: service.port })
const front = await start('pipe-hop', { BENCH_TARGET: back.port })
const G = 1024 ** 3
async function cost (name: string, procs: BenchProcess[], run: () => Promise<number>) {
  const before = await Promise.all(procs.map((p) => p.usage()))
  const t = performance.now()
  const v = await run()
  const ms = performance.now() - t
  const after = await Promise.all(procs.map((p) => p.usage()))
  console.log(name, 'value', v.toFixed(0), 'ms', ms.toFixed(0), 'cpu ms', after.map((a, i) => ((a.cpu - before[i].cpu) / 1000).toFixed(0)).join(' '))
}
const what = process.argv[2] ?? 'all'
for (let i = 0; i < 2; i++) {
  if (what === 'all' || what === 'stream') {
  await cost('up   ours', [relay, peer], () => upload(peer.port, 2 * G))
  await cost('up   pipe', [front, back], () => upload(front.port, 2 * G))
  await cost('down ours', [relay, peer], () => download(peer.port, 2 * G))
  await cost('down pipe', [front, back], () => download(front.port, 2 * G))
  }
  if (what !== 'stream') await cost('churn ours', [relay, peer], () => churn(peer.port, 2000, 16))
  if (what !== 'stream') await cost('churn pipe', [front, back], () => churn(front.port, 2000, 16))
}
for (const p of [peer, relay, front, back, service]) await p.stop()

/** The relay under test, in a process of its own: the built package, as it is installed. */
import { serveCandy } from 'tunpipe/nodes/candy'
import { report } from '../lib/child.js'

const { BENCH_PASSWORD: password, BENCH_CERT: cert, BENCH_KEY: key, BENCH_WORKERS } = process.env
const { url, relay } = await serveCandy({ password, workers: Number(BENCH_WORKERS ?? 1), ...cert === undefined ? { listen: 'ws://127.0.0.1:0' } : { listen: 'wss://127.0.0.1:0', tls: { cert, key } } })
report(Number(new URL(url).port), () => relay.stats.drops.queue)

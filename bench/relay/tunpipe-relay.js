/** The relay under test, in a process of its own: the built package, as it is installed. */
import { serveCandy } from 'tunpipe/nodes/candy'
import { report } from '../child.js'

const { url, relay } = await serveCandy({ listen: 'ws://127.0.0.1:0', password: process.env.BENCH_PASSWORD })
report(Number(new URL(url).port), () => relay.stats.drops.queue)

/** The relay under test: the built package, as it is installed. */
import { serveNatpass } from 'tunpipe/nodes/natpass'
import { report } from '../lib/child.js'

const { url, relay } = await serveNatpass({ listen: '127.0.0.1:0', secret: process.env.BENCH_PASSWORD })
report(Number(new URL(url).port), () => Object.values(relay.stats.drops).reduce((sum, count) => sum + count))

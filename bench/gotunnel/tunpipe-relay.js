/** The relay under test: the built package, as it is installed. */
import { serveGotunnel } from 'tunpipe/nodes/gotunnel'
import { report } from '../lib/child.js'

const { url } = await serveGotunnel({ listen: '127.0.0.1:0', bind: '127.0.0.1', identities: [{ name: 'bench', token: process.env.BENCH_PASSWORD }], maxWaiting: 4096 })
report(Number(new URL(url).port), () => 0)

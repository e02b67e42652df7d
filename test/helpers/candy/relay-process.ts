/** A patient relay in a process of its own, which tells over IPC what it holds: strangers have minutes there. */
import { serveCandy } from '../../../src/nodes/candy/index.ts'

const { url, relay } = await serveCandy({ listen: 'ws://127.0.0.1:0', password: process.argv[2], dhcp: '10.77.0.0/24', authTimeout: 600_000 })
process.on('message', () => { process.send?.({ stats: relay.stats, memory: process.memoryUsage.rss() }) })
process.on('disconnect', () => { process.exit() })
process.send?.({ url })

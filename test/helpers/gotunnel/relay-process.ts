/** A relay in a process of its own, so that limits of the system strike it and not the test. It tells over IPC where it listens, and what it holds. */
import { serveGotunnel } from '../../../src/nodes/gotunnel/index.ts'

const { url, relay } = await serveGotunnel({ listen: '127.0.0.1:0', bind: '127.0.0.1', identities: [{ name: 'home', token: process.argv[2] }] })
process.on('message', () => { process.send?.(relay.stats) })
process.on('disconnect', () => { process.exit() })
process.send?.(url)

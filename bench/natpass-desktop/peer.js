/** The peer under test: the built package, as it is installed. Its desktop is that of `DISPLAY`. */
import { once } from 'node:events'
import { NatpassPeer } from 'tunpipe/nodes/natpass'
import { report } from '../lib/child.js'

const peer = new NatpassPeer({ server: `127.0.0.1:${process.env.BENCH_TARGET}`, secret: process.env.BENCH_PASSWORD, id: 'desk', allow: ['vnc'] })
const online = once(peer, 'online')
await peer.start()
await online
report(0, () => 0)

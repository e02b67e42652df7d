/**
 * A part of a sealed stream: `BENCH_ROLE` is `proxy`, `target`, which counts bytes, `requester`, which sends while it is told to, or `signer`,
 * which signs as fast as all processors can. `BENCH_FORM` is `direct`, `page` or `hmac`; `BENCH_PROXY` and `BENCH_PORT` are ports of proxy and T.
 */
import { identityOf, receiver, sender } from './ends.js'
import { serveShowchain } from '../../dist/src/nodes/showchain/relay/server.js'
import { report } from '../lib/child.js'

const { BENCH_ROLE, BENCH_FORM, BENCH_PROXY, BENCH_PORT } = process.env

/** Signatures at one time, as a session makes them. */
const AT_ONCE = 16

if (BENCH_ROLE === 'proxy') {
  const server = await serveShowchain({ listen: 'udp://127.0.0.1:0', identity: identityOf('c'), pageSignatures: BENCH_FORM === 'page', byteRate: 1e9 })
  report(Number(new URL(server.url).port), () => 0)
} else if (BENCH_ROLE === 'target') {
  const { port, counted } = await receiver(BENCH_FORM, Number(BENCH_PROXY))
  report(port, () => counted.bytes)
} else if (BENCH_ROLE === 'requester') {
  const { maxDatagram, turn } = await sender(BENCH_FORM, Number(BENCH_PROXY), Number(BENCH_PORT))
  process.on('message', ({ on }) => { if (on !== undefined) turn(on) })
  report(1, () => maxDatagram)
} else {
  const identity = identityOf('a')
  const bytes = Buffer.alloc(121, 'signed ')
  const state = { isOn: false, made: 0 }
  const next = () => {
    if (!state.isOn) return
    identity.signLater(bytes, () => {
      state.made++
      next()
    })
  }
  process.on('message', ({ on }) => {
    if (on === undefined) return
    state.isOn = on
    if (on) for (let i = 0; i < AT_ONCE; i++) next()
  })
  report(1, () => state.made)
}

/** A helper and proxy with limits that the load does not reach, or with BENCH_ROLE=verify nothing but verifications of signatures. */
import { constants, generateKeyPairSync, sign, verify } from 'node:crypto'
import { Identity } from '../../dist/src/nodes/showchain/protocol/identity.js'
import { serveShowchain } from '../../dist/src/nodes/showchain/relay/server.js'
import { bindUdp } from '../../dist/src/transports/udp/index.js'
import { report } from '../lib/child.js'

const MANY = 999_999

/** As many as the relay has running on other threads. */
const AT_ONCE = 32

const newKeys = () => generateKeyPairSync('rsa', { modulusLength: 2048 })

if (process.env.BENCH_ROLE === 'verify') {
  const { privateKey, publicKey: key } = newKeys()
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  const bytes = Buffer.alloc(71, 'signed ')
  const signature = sign('sha256', bytes, { key: privateKey, ...pss })
  report(0, () => 0)
  const input = { key, ...pss }
  process.on('message', ({ count, onThreads }) => {
    if (count === undefined) return
    let left = count
    const next = () => {
      if (--left < 0) return
      verify('sha256', bytes, input, signature, (err, holds) => {
        if (err !== null || !holds) throw new Error('the signature does not hold')
        if (++done === count) process.send({ count })
        next()
      })
    }
    let done = 0
    if (onThreads) for (let i = 0; i < AT_ONCE; i++) next()
    else {
      for (; done < count; done++) if (!verify('sha256', bytes, input, signature)) throw new Error('the signature does not hold')
      process.send({ count })
    }
  })
} else {
  const server = await serveShowchain({
    listen: 'udp://127.0.0.1:0',
    bind: (init) => bindUdp({ ...init, io: 'batch' }), // no groups of datagrams to one address: nodes are at many
    identity: new Identity(newKeys().privateKey),
    maxNodesPerSource: MANY,
    requestRate: MANY,
    answerRate: MANY,
    introductionRate: MANY
  })
  report(Number(new URL(server.url).port), () => server.status().nodes)
}

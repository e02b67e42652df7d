/** Datagrams sealed with AES-256-GCM, in place: what anybody has changed is not opened. `node --import tsx examples/sealing.ts` */
import { randomBytes } from 'node:crypto'
import { loadSealing, randomIvs } from 'tunpipe/crypto'

const sealing = await loadSealing()
const cipher = sealing.cipher({ key: randomBytes(32), layout: { iv: 0, tag: 12, text: 28 }, ivs: randomIvs() })

const datagram = Buffer.concat([Buffer.alloc(cipher.shortest), Buffer.from('hello')])
cipher.seal(datagram)
const changed = Buffer.from(datagram)
changed[30] ^= 1

console.log(cipher.open(datagram), datagram.toString('utf8', 28))
console.log(cipher.open(changed), changed.subarray(28))
cipher.close()

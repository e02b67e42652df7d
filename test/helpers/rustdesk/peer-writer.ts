/**
 * A process that writes peers until it is killed, or for so many turns: `peer-writer.ts PATH [TURNS]`. It prints `ready`, then `+ID` for each
 * that was written, `-ID CODE SQLITE` for each that was not, and at the end what a later request comes to.
 */
import { openPeerStore } from '../../../src/nodes/rustdesk/store/peer-store.ts'

const WIDTH = 20

const [, , path, turns = 'Infinity'] = process.argv
const store = await openPeerStore({ path }).catch((err) => {
  console.log(`closed ${err.code} ${err.sqlite}`)
  process.exit(1)
})
console.log('ready')
for (let turn = 0; turn < Number(turns); turn++) {
  await Promise.all(Array.from({ length: WIDTH }, async (_, i) => {
    const id = `peer-${turn}-${i}`
    await store.put({ id, uuid: Buffer.from(`uuid of ${id}`), pk: Buffer.alloc(32, 1), ip: '192.0.2.1' })
      .then(() => { console.log(`+${id}`) }, (err) => { console.log(`-${id} ${err.code} ${err.sqlite}`) })
  }))
}
console.log(`first: ${(await store.find('peer-0-0'))?.ip}`)
await store.close()
console.log('closed')

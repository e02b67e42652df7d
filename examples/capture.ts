/** Records what passes at two joints of one stack, bytes below and packets above, into a file that Wireshark opens. */
import { over, stack } from 'tunpipe'
import { capture, captureFile, lengthPrefix, u16be } from 'tunpipe/transforms'
import { memoryPair } from 'tunpipe/transports'
import { userspaceTun } from 'tunpipe/tun'

const file = process.argv[2] ?? 'capture.pcapng'
const { recorder, close } = await captureFile(file, {
  interfaces: [{ linkType: 'user0', name: 'bytes' }, { linkType: 'raw', name: 'packets' }]
})
const framing = lengthPrefix(u16be)
const recorded = stack(capture(recorder, { interface: 0 }), framing, capture(recorder, { interface: 1 }))

const [here, there] = [userspaceTun(), userspaceTun()]
await Promise.all([here.setAddress('10.77.0.1/24'), there.setAddress('10.77.0.2/24')])
const [left, right] = memoryPair()
for (const [host, link] of [[here, over(left, recorded)], [there, over(right, framing)]] as const) {
  Promise.all([link.sink(host.source), host.sink(link.source)]).catch((err) => { link.abort(err) })
}

await here.ping('10.77.0.2')
await close()
console.log(`${recorder.stats.packets} packets in ${file}`)
await Promise.all([here.close(), there.close()])

/** A relay and two peers in one process: no root, no interface of the system, yet real packets through the whole stack. */
import { joinCandy, serveCandy } from 'tunpipe/nodes/candy'
import { userspaceTun } from 'tunpipe/tun'

const relay = await serveCandy({ listen: 'ws://127.0.0.1:0', password: 'secret', dhcp: '10.77.0.0/24' })
const [here, there] = [userspaceTun(), userspaceTun()]
const first = await joinCandy({ url: relay.url, password: 'secret', tun: here, address: '10.77.0.2/24' })
const second = await joinCandy({ url: relay.url, password: 'secret', tun: there }) // the relay gives it an address
console.log(`${second.address} pings ${first.address}: ${(await there.ping('10.77.0.2')).toFixed(2)} ms`)

await Promise.all([first.close(), second.close(), relay.close()])
await Promise.all([here.close(), there.close()])

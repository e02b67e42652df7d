/** Listens on a Unix socket until it is killed. */
import { listenUnix } from '../../../src/cli/unix-socket.ts'

const server = await listenUnix(process.argv[2], (socket) => { socket.destroy() })
console.log(server === undefined ? 'refused' : 'listening')
setInterval(() => {}, 2 ** 30)

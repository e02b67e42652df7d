/**
 * Has a port mapped, as the options say that are its argument, and writes what happens in lines of text. It has a clock that stands still.
 * A process of its own, as each thread of a test loads the test runner. Commands, one a line: `start`, `pass` and milliseconds, `memory` and MiB
 * (asks once in a thread that may have no more), `leave` (asks once, and waits for no answer), `close`.
 */
import { createInterface } from 'node:readline'
import { PortMapping } from '../../../src/nat/index.ts'
import { askInThread } from '../../../src/nat/port-mapping/ask-in-thread.ts'
import type { MappingTask } from '../../../src/nat/port-mapping/messages.ts'
import { VirtualClock } from '../../../src/streams/virtual-clock.ts'

const say = (what: string, value: object = {}): void => { console.log(`${what} ${JSON.stringify(value)}`) }

process.on('worker', (thread) => {
  say('thread begins')
  thread.once('exit', () => { say('thread ends') })
})

const clock = new VirtualClock()
const init = { address: '127.0.0.1', port: 5000, ...JSON.parse(process.argv[2]) }
const mapping = new PortMapping({ clock, onChange: (status) => { say('status', status) }, ...init })
const task: MappingTask = { kind: 'map', address: init.address, port: 5000, gateway: '127.0.0.6', protocols: ['nat-pmp'], lease: 3600, held: undefined }

for await (const line of createInterface(process.stdin)) {
  const [command, number] = line.split(' ')
  const leave = new AbortController()
  if (command === 'start') mapping.start()
  else if (command === 'pass') await clock.pass(Number(number))
  else if (command === 'memory') say('answer', await askInThread(task, leave.signal, Number(number)))
  else if (command === 'leave') {
    const answer = askInThread(task, leave.signal)
    leave.abort(new Error('closed'))
    say('answer', await answer)
    say('answer', await askInThread(task, leave.signal))
  } else if (command === 'close') {
    await mapping.close()
    say('closed', mapping.status)
    break
  }
}
process.stdin.destroy() // else it holds the process

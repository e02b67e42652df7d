/** Loaded before a program that was started with a channel, and by each of its threads: tells its memory when it is asked. */
import { isMainThread } from 'node:worker_threads'
import { report } from '../lib/child.js'

if (isMainThread) {
  report(0, () => 0)
  process.channel.unref() // the program ends when it would have
}

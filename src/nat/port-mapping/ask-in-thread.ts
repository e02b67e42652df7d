/** One request to the gateways, in a thread that ends with it. */
import { Worker } from 'node:worker_threads'
import { failed, readAnswer, type MappingAnswer, type MappingTask } from './messages.ts'

/** MiB of the heap of the thread, which reads what others send. */
const THREAD_MEMORY = 64

/** Settles when the thread has ended; never rejects. */
export async function askInThread (task: MappingTask, signal: AbortSignal, memory = THREAD_MEMORY): Promise<MappingAnswer> {
  const ended = (): MappingAnswer => failed(String((signal.reason as Error)?.message))
  if (signal.aborted) return ended()
  // the file next to this one, in source or compiled form
  const file = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url)
  const thread = new Worker(file, { name: 'port mapping', workerData: task, resourceLimits: { maxOldGenerationSizeMb: memory } })
  thread.unref()
  const answer = await new Promise<MappingAnswer>((resolve) => {
    thread.once('message', (message) => { resolve(readAnswer(message, task.lease)) })
    thread.on('error', (err) => { resolve(failed(`the thread has failed: ${String(err?.message)}`)) })
    thread.once('exit', () => { resolve(failed('the thread has ended without an answer')) })
    signal.addEventListener('abort', () => { resolve(ended()) }, { once: true })
  })
  await thread.terminate().catch(() => {})
  return answer
}

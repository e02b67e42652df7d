/**
 * Answers one request, in a thread of its own: the package trusts what comes from the network. A short answer throws where nobody catches
 * it, answers have no bound, and nobody asks where they come from.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { boundedFetch } from './bounded-fetch.ts'
import { Gateways } from './gateways.ts'
import { failed, type MappingAnswer, type MappingTask } from './messages.ts'

async function answer (task: MappingTask): Promise<MappingAnswer> {
  let mapper
  try {
    mapper = await import('@achingbrain/nat-port-mapper')
  } catch (err) {
    const isMissing = (err as NodeJS.ErrnoException)?.code === 'ERR_MODULE_NOT_FOUND'
    return failed(`the package @achingbrain/nat-port-mapper ${isMissing ? 'is not installed' : 'does not load'}`)
  }
  const hosts = new Set<string>()
  globalThis.fetch = boundedFetch(globalThis.fetch, hosts)
  const gateways = new Gateways(mapper, task, hosts)
  return await (task.kind === 'unmap' && task.held !== undefined ? gateways.unmap(task.held) : gateways.map())
}

parentPort?.postMessage(await answer(workerData as MappingTask).catch(() => failed('the request has failed')))

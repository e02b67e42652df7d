#!/usr/bin/env node
import { isWorkerCommand, parseWorker } from '../src/cli/natpass/worker-command.ts'
import { run } from '../src/cli/process/lifecycle.ts'

const args = process.argv.slice(2)

if (isWorkerCommand(args)) {
  await run('peer', () => parseWorker(args))
} else {
  const { parsePeer } = await import('../src/cli/peer-command.ts')
  await run('peer', () => parsePeer(args))
}

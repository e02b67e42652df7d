#!/usr/bin/env node
import { run } from '../src/cli/process/lifecycle.ts'
import { parsePeer } from '../src/cli/peer-command.ts'

await run('peer', () => parsePeer(process.argv.slice(2)))

#!/usr/bin/env node
import { run } from '../src/cli/process/lifecycle.ts'
import { parseRelay } from '../src/cli/relay-command.ts'

await run('relay', () => parseRelay(process.argv.slice(2)))

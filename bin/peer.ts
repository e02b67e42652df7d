#!/usr/bin/env node
import { UsageError } from '../src/cli/usage-error.ts'

const err = new UsageError('no protocol has landed yet')
console.error(err.message)
process.exitCode = 2

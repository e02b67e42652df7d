/** A program on top of `run`, for what the real ones do not do: fail in each phase, hang, crash. */
import { open } from 'node:fs/promises'
import Module from 'node:module'
import { OptionError } from '../../../src/errors.ts'
import { run, type Plan, type Running } from '../../../src/cli/process/lifecycle.ts'
import { createLogger } from '../../../src/cli/process/logger.ts'
import { UsageError } from '../../../src/cli/usage-error.ts'

const [phase, form] = process.argv.slice(2)

const failure = (): Error => Object.assign(new Error('foreseen\nin two lines'), { code: 'EEXAMPLE' })

async function start (): Promise<Running> {
  if (phase === 'start-option') throw new OptionError('an option of a node')
  if (phase === 'start-foreseen') throw failure()
  if (phase === 'start-defect') throw new Error('a defect')
  if (phase === 'slow') {
    console.log('starting')
    await new Promise((resolve) => { process.stdin.once('end', resolve).resume() }) // until the test has done what it is about to
  }
  if (phase.startsWith('thread')) void open(form) // a FIFO that nobody writes to: a thread waits for ever
  if (phase.endsWith('without-koffi')) {
    const loader = Module as unknown as { _resolveFilename: (name: string, ...rest: unknown[]) => string }
    const resolve = loader._resolveFilename
    loader._resolveFilename = (name, ...rest) => {
      if (name === 'koffi') throw new Error('none')
      return resolve(name, ...rest)
    }
  }
  console.log('ready')
  if (phase === 'crash') setImmediate(() => { throw new Error('a crash') })
  if (phase === 'rejection') void Promise.reject(new Error('a rejection'))
  if (phase === 'hang' || phase === 'thread-hang') return { stop: () => new Promise(() => {}) }
  if (phase === 'failed') return { async stop () { console.log('drained') }, failed: Promise.reject(failure()) }
  if (phase === 'failed-hang') return { stop: () => new Promise(() => {}), failed: Promise.reject(failure()) }
  if (phase === 'failed-twice') return { stop: () => Promise.reject(new Error('a defect')), failed: Promise.reject(failure()) }
  return { async stop () { console.log('drained') }, ...(form === 'reloads' ? { async reload () { console.log('reloaded') } } : {}) }
}

function parse (): Plan | undefined {
  if (phase === 'nothing') return undefined
  if (phase === 'parse-usage') throw new UsageError('--x: wrong')
  if (phase === 'parse-foreseen') throw failure()
  if (phase === 'parse-defect') throw new Error('a defect')
  return { log: createLogger({ level: 'info', json: true }), json: form === 'json', start }
}

await run('stubborn', parse)

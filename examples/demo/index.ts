/** `npm run demo`: see the help in options.ts. */
import { Lab } from './lab.ts'
import { HELP, parseOptions, type Options } from './options.ts'
import { createView } from './view.ts'

async function demo ({ peers, seconds, json }: Options): Promise<void> {
  const stopping = new AbortController()
  const stop = (): void => { stopping.abort() }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  process.stdout.on('error', stop) // whoever read our lines has gone
  const lab = await Lab.start(peers, stopping.signal).catch((err: unknown) => {
    if (!stopping.signal.aborted) throw err
  })
  if (lab === undefined) return
  const view = createView(json, process.stdout)
  const end = seconds === undefined ? undefined : setTimeout(stop, seconds * 1000)
  const updates = setInterval(() => { view.update(lab.snapshot()) }, view.every)
  try {
    await lab.talk(stopping.signal)
  } finally {
    clearTimeout(end)
    clearInterval(updates)
  }
  view.finish(lab.snapshot())
  await lab.close()
}

let options: Options | undefined
try {
  options = parseOptions(process.argv.slice(2))
} catch (err) {
  console.error((err as Error).message)
  process.exitCode = 2
}
if (options?.help === true) console.log(HELP)
else if (options !== undefined) await demo(options)

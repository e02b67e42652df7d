/** How a program in TypeScript is started. */

const api = JSON.stringify(import.meta.resolve('tsx/esm/api'))

/** By itself `tsx` does nothing in further threads. */
const inThreads = 'data:text/javascript,' + encodeURIComponent(`import { isMainThread } from 'node:worker_threads'
if (!isMainThread) (await import(${api})).register()`)

export const TSX_ARGS: readonly string[] = ['--import', import.meta.resolve('tsx'), '--import', inThreads]

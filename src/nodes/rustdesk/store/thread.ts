/** Entry point of the thread that has the database, so that no packet waits for a disk. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { ThreadInit } from './messages.ts'
import { serveDatabase } from './serve-database.ts'

await serveDatabase(parentPort as MessagePort, workerData as ThreadInit)

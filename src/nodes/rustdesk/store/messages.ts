/** What the store and its thread tell each other. */
import { PeerStoreError, type PeerStoreErrorCode } from './errors.ts'
import { errnoOf } from '../../../net/native/errno.ts'

export interface ThreadInit {
  /** Absolute. */
  path: string
  /** Milliseconds. */
  lockTimeout: number
  maxRows: number
}

/** A row as it is written. */
export interface PeerRow {
  id: string
  uuid: Uint8Array
  pk: Uint8Array
  /** JSON. */
  info: string
}

/** A row as it is read. */
export interface FoundRow {
  uuid: Uint8Array
  pk: Uint8Array
  ip: string
}

/** Each has a number, which its answer repeats. */
export type StoreRequest = { n: number } & ({ type: 'find', id: string } | { type: 'count' } | { type: 'put', row: PeerRow })

export interface StoreAnswer {
  n: number
  fault?: StoreFault
  found?: FoundRow
  count?: number
}

/** Requests of one turn, or the end: what was sent before is done first. */
export type StoreCommand = StoreRequest[] | 'close'

export type StoreEvent = { type: 'open' } | { type: 'failed', fault: StoreFault } | { type: 'answers', answers: StoreAnswer[] }

/** An error between threads, where its class is lost. */
export interface StoreFault {
  code: PeerStoreErrorCode
  message: string
  sqlite: string | undefined
}

/** What is not an error of the store is a fault of the database. */
export function faultOf (err: unknown): StoreFault {
  if (err instanceof PeerStoreError) return { code: err.code, message: err.message, sqlite: err.sqlite }
  const { message, code, errno } = err as Error & { code?: unknown, errno?: number } // with an errno: the system has said so of the file
  return { code: 'ERR_PEER_STORE_FAULT', message: errno === undefined ? String(message) : errnoOf(-errno)[1], sqlite: typeof code === 'string' && code !== '' ? code : undefined }
}

export const errorOf = ({ code, message, sqlite }: StoreFault): PeerStoreError => new PeerStoreError(code, message, sqlite)

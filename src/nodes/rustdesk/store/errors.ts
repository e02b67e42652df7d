/** Errors of the database of peers. */
import { CodedError } from '../../../errors.ts'

/** Codes of a {@link PeerStoreError}. */
export type PeerStoreErrorCode =
  | 'ERR_PEER_STORE_LIBSQL' // the optional package `libsql` is not installed, or does not load
  | 'ERR_PEER_STORE_FAULT' // the database has failed: `sqlite` says how
  | 'ERR_PEER_STORE_LOCKED' // another program has locked it for too long
  | 'ERR_PEER_STORE_REPLACED' // its file was removed, moved or replaced
  | 'ERR_PEER_STORE_BUSY' // too many requests wait, or too many bytes
  | 'ERR_PEER_STORE_RECORD' // what was given fits into no row
  | 'ERR_PEER_STORE_ROW' // a row has values that no server writes
  | 'ERR_PEER_STORE_FULL' // there are as many rows as there may be
  | 'ERR_PEER_STORE_UUID' // there is a row of this id with another uuid
  | 'ERR_PEER_STORE_CLOSED' // the store is closed

/** A request to the database of peers has failed; nothing is known to be written. */
export class PeerStoreError extends CodedError<PeerStoreErrorCode> {
  override readonly name = 'PeerStoreError'
  /** The name that SQLite has for the failure, as `SQLITE_FULL`, or the system, as `EACCES`, where there is one. */
  readonly sqlite: string | undefined

  constructor (code: PeerStoreErrorCode, message: string, sqlite?: string) {
    super(code, message)
    this.sqlite = sqlite
  }
}

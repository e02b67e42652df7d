/** A peer that registers: its identity, and where it was heard last. */
import { timingSafeEqual } from 'node:crypto'
import { foldAddress } from '../protocol/addresses.ts'
import type { RendezvousInit } from '../protocol/messages.ts'
import type { PeerRecord } from '../store/peer-record.ts'

/** Milliseconds for which a peer counts as online after it was heard. */
export const ONLINE_TIME = 30_000

/** The connection of a peer that has registered by one. */
export interface PeerConnection {
  readonly way: 'tcp' | 'websocket' | 'nat_test'
  /** False: it cannot be sent. */
  send (message: RendezvousInit): boolean
}

/** A peer in memory. Bytes are kept as text of Latin-1, as there are many peers, and a view of few bytes takes several times as much memory. */
export class Peer {
  readonly id: string
  ip: string
  /** Its address, and the port for datagrams; port 0: not known. */
  host = ''
  port = 0
  /** The way to it, in place of datagrams. */
  connection: PeerConnection | undefined
  /** When it was heard, by a monotonic clock. */
  heardAt = -Infinity
  /** Since when it is online, if it is. */
  onlineSince = -Infinity
  /** Keys that it has registered in a row, and when the last one was. */
  keyCount = 0
  keyAt = -Infinity
  #uuid: string
  #pk: string

  constructor ({ id, uuid, pk, ip }: PeerRecord) {
    this.id = id
    this.ip = foldAddress(ip) // older servers have stored IPv4 as mapped addresses
    this.#uuid = textOf(uuid)
    this.#pk = textOf(pk)
  }

  get hasUuid (): boolean { return this.#uuid !== '' }

  get hasKey (): boolean { return this.#pk !== '' }

  get pk (): Uint8Array { return Buffer.from(this.#pk, 'latin1') }

  isOfMachine (uuid: Uint8Array): boolean { return isSame(this.#uuid, uuid) }

  isKey (pk: Uint8Array): boolean { return isSame(this.#pk, pk) }

  isOnline (now: number): boolean { return now - this.heardAt < ONLINE_TIME }

  /** Messages can be sent to it. */
  get isReachable (): boolean { return this.port !== 0 || this.connection !== undefined }

  /** It was heard from this address: by a datagram, or port 0. */
  heard (host: string, port: number, now: number): void {
    if (this.host !== host) this.host = host
    this.port = port
    if (!this.isOnline(now)) this.onlineSince = now
    this.heardAt = now
    this.connection = undefined
  }

  /** It has registered by a connection. */
  reach (connection: PeerConnection): void { this.connection = connection }

  /** A connection has closed, or is that of another peer now. */
  lose (connection: PeerConnection): void { if (this.connection === connection) this.connection = undefined }

  /** Takes an identity that is on disk now. */
  identify ({ uuid, pk, ip }: Omit<PeerRecord, 'id'>): void {
    this.#uuid = textOf(uuid)
    this.#pk = textOf(pk)
    this.ip = ip
  }
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')

const isSame = (kept: string, bytes: Uint8Array): boolean => kept.length === bytes.length && timingSafeEqual(Buffer.from(kept, 'latin1'), bytes)

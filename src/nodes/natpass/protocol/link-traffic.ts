/** What links have carried, as the client counts that they are of. */

/** Bytes and messages of content: what opens and ends a link is none, nor is its credit; that of requests of code-server is. */
export interface TrafficCounts {
  readonly bytesIn: number
  readonly packetsIn: number
  readonly bytesOut: number
  readonly packetsOut: number
}

export class LinkTraffic implements TrafficCounts {
  bytesIn = 0
  packetsIn = 0
  bytesOut = 0
  packetsOut = 0
  #total: LinkTraffic | undefined

  /** @param total - counts the same, for many links */
  constructor (total?: LinkTraffic) { this.#total = total }

  /** Goes on for a link that was lost: that one counts the same from now on. */
  continue (lost: LinkTraffic): void { this.#total = lost }

  received (bytes: number): void {
    this.bytesIn += bytes
    this.packetsIn++
    this.#total?.received(bytes)
  }

  sent (bytes: number): void {
    this.bytesOut += bytes
    this.packetsOut++
    this.#total?.sent(bytes)
  }

  /** As of now. */
  counts (): TrafficCounts {
    const { bytesIn, packetsIn, bytesOut, packetsOut } = this
    return { bytesIn, packetsIn, bytesOut, packetsOut }
  }
}

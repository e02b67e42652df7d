/** What a sender asks a congestion control, and what it tells it. */

/** What acknowledgements that came together say. Times are in milliseconds. */
export interface DeliverySample {
  now: number
  /** Bytes that were acknowledged, and that were found lost, since the last sample. */
  acknowledged: number
  lost: number
  /** Bytes acknowledged since the start; and that number when the newest of these packets was sent. */
  delivered: number
  priorDelivered: number
  /** Bytes in a millisecond; 0 where it cannot be told. */
  rate: number
  /** The sender had nothing more to send, so that the path may take more. */
  isAppLimited: boolean
  /** Round trip time of the newest packet; 0 where there is none. */
  rtt: number
  /** Bytes in flight, now. */
  inFlight: number
}

/** Decides how much may be on its way, and how fast it leaves. */
export interface CongestionControl {
  /** Bytes that may be in flight. */
  readonly window: number
  /** Bytes in a millisecond; Infinity: without pacing. */
  readonly pacingRate: number
  /** The largest packet has so many bytes from now on. */
  resize (maxDatagram: number): void
  onSample (sample: DeliverySample): void
  /** Packets that had counted as lost were only late. */
  onSpuriousLoss (bytes: number): void
}

/** No bound: for a path that has its own. */
export class NoCongestionControl implements CongestionControl {
  readonly window = Infinity
  readonly pacingRate = Infinity

  resize (): void {}

  onSample (): void {}

  onSpuriousLoss (): void {}
}

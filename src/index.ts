/**
 * tunpipe: every layer of a tunnel as a composable stream transform.
 *
 * Layers are in `tunpipe/transforms`, what carries them in `tunpipe/transports`, network interfaces in `tunpipe/tun`, and
 * whole protocols in `tunpipe/nodes/*`.
 */
export type {
  Address, AnyLink, Batch, Clock, Core, Datagram, DatagramSocket, Delivery, Endpoint, Layer, Link, Listener, PacketPort, ReadAhead, Records, Take,
  Timer, Transform, Transport
} from './types.ts'
export { CodedError, LinkBusyError, LinkClosedError, OptionError, TruncatedError } from './errors.ts'
export { codec, over, stack, transform, type CodecCores } from './layer.ts'
export { bridge, type BridgeInit } from './streams/bridge.ts'
export { systemClock } from './streams/clock.ts'
export { VirtualClock, VirtualTimeoutError, type VirtualClockInit, type VirtualTimer } from './streams/virtual-clock.ts'
export { consume } from './streams/consume.ts'
export { duplexOf, type DuplexOfInit } from './streams/duplex.ts'
export { wrapLink, type Overrides } from './streams/wrap-link.ts'
export { AsyncQueue, AsyncQueueBusyError, type AsyncQueueInit } from './streams/async-queue.ts'
export type { BackoffInit } from './limits/backoff.ts'
export { Shaper } from './limits/shaper.ts'
export { silent, type Logger } from './log.ts'

/**
 * tunpipe: every layer of a tunnel as a composable stream transform.
 *
 * Layers are in `tunpipe/transforms`, what carries them in `tunpipe/transports`, network interfaces in `tunpipe/tun`, and
 * whole protocols in `tunpipe/nodes/*`.
 */
export * from './types.ts'
export * from './errors.ts'
export { codec, over, stack, transform } from './layer.ts'
export { bridge, type BridgeInit } from './bridge.ts'
export { consume } from './consume.ts'
export { duplexOf, type DuplexOfInit } from './duplex.ts'
export { wrapLink } from './wrap-link.ts'
export { Channel, ChannelBusyError, type ChannelInit } from './channel.ts'
export { Pace } from './pace.ts'
export { silent, type Logger } from './log.ts'

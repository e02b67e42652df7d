export type { CertificateInit, TlsListener } from './certificate.ts'
export { DialTimeoutError } from './connecting.ts'
export type { ConnectionInfo } from './connection-guard.ts'
export type { ProtocolMismatch } from './first-read.ts'
export { ConnectionLimiter, type ConnectionLimiterInit, type ConnectionLimiterStats, type ConnectionSlot } from '../limits/connection-limiter.ts'
export type { Lookup, ResolvedAddress } from './happy-eyeballs.ts'
export {
  type AllConditions, type Behaviour, type Conditions, type ConnectionLimits, type Device, type DialSimulatedInit, type Directions, type Family, type FirewallInit,
  formatEvent, type Gateway, type GatewayInit, HAPPENINGS, type Happening, type HostInit, type JoinSubnetInit, type ListenSimulatedInit, memoryNetwork, memoryPair, NAT_KINDS,
  type NatInit, type NatKind, type NetworkInterface, type PacketError, type PacketProtocol, type SimulatedFirewall, type SimulatedHost,
  type SimulatedLink, type SimulatedLinkInit, type SimulatedNat, SimulatedNetwork, type SimulatedNetworkInit, type SimulatedTransport, type SimulatedTransportInit,
  type Subnet, type SubnetInit, type Trace, type TraceEvent
} from './memory/index.ts'
export { ForeignProtocolError, detectProtocol, protocolText, type Protocol, type DetectedProtocol } from './protocol-detection.ts'
export { streamLink, type StreamLinkInit } from './stream-link.ts'
export { dialTcp, listenTcp, tcp, type AcceptedLink, type DialInit, type ListenInit, type LocalInit, type SocketInit, type TcpLink, type WireLink } from './tcp.ts'
export { dialTls, HandshakeTimeoutError, listenTls, tls, type TlsClientInit, type TlsServerInit } from './tls.ts'
export {
  bindUdp, dialUdp, listenUdp, type BindUdpInit, type DialUdpInit, type ListenUdpInit, type UdpErrors, type UdpInit, type UdpIo, type UdpLink,
  type UdpListener, type UdpOffload, type UdpSocket, type UdpTarget
} from './udp/index.ts'
export {
  dialWebSocket, listenWebSocket, websocket,
  type AcceptedWebSocket, type DialWebSocketInit, type ListenWebSocketInit, type WebSocketInit, type WebSocketWireLink
} from './websocket.ts'
export { dialUpgraded, listenUpgraded, UpgradeError, type DialUpgradedInit, type ListenUpgradedInit, type UpgradedLink } from './upgrade.ts'

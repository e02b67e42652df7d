export { memoryNetwork } from './network.ts'
export { memoryPair } from './pair.ts'
export {
  formatEvent, HAPPENINGS, NAT_KINDS, SimulatedNetwork, type AllConditions, type Behaviour, type Conditions, type ConnectionLimits, type Device, type DialSimulatedInit,
  type Directions, type Family, type FirewallInit, type Gateway, type GatewayInit, type ListenSimulatedInit, type SimulatedLink, type SimulatedLinkInit, type SimulatedTransport, type SimulatedTransportInit,
  type Happening, type HostInit, type JoinSubnetInit, type NatInit, type NatKind, type NetworkInterface, type PacketError, type PacketProtocol,
  type SimulatedFirewall, type SimulatedHost, type SimulatedNat, type SimulatedNetworkInit, type Subnet, type SubnetInit, type Trace, type TraceEvent
} from './simulation/index.ts'

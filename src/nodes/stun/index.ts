/** STUN: which endpoint a socket has outside of a NAT, and how the NAT behaves. */
export { serveStun, type StunServer, type StunServerInit, type StunServerStatus } from './server.ts'

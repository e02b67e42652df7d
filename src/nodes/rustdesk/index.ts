/** The RustDesk protocol: a rendezvous server that finds peers by id, and a relay for those that cannot reach each other. */
export { endpointKey } from './protocol/addresses.ts'
export { mangleAddress, unmangleAddress } from './protocol/mangled-address.ts'
export { frames } from './protocol/messages.ts'

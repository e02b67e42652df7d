/** An address and a port as one text. */
import type { Endpoint } from './types.ts'

/** `192.0.2.1:443`, `[2001:db8::1]:443`, `name.example:443`. */
export const endpointText = ({ host, port }: Endpoint): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/** The same of whoever has connected; a link in memory has no port, and its name stands alone. */
export const remoteText = (remote: Endpoint): string => remote.port === 0 ? remote.host : endpointText(remote)

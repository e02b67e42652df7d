/** The first configuration of a relay: a candy network with a password of its own. */
import type { FirstConfig } from '../protocol.ts'
import { joinCommands } from './join-commands.ts'

const LISTEN = 'ws://0.0.0.0:8080'

/** @param password - undefined leaves it out, for a relay that gets it from the environment */
export function firstConfig (password: string | undefined): FirstConfig {
  return { section: configText(password), greeting: joinCommands({ listen: LISTEN, password }) }
}

const configText = (password: string | undefined): string => `\
candy:
  # Where clients connect. wss:// needs tls-cert and tls-key (PEM files).
  listen: ${LISTEN}

  # Everyone who knows it can join. TUNPIPE_PASSWORD in the environment wins over it.
${password === undefined ? '  # password: ...' : `  password: ${password}`}
  # password-file: /etc/tunpipe/candy.password

  # Clients without an address of their own get one out of this range, /8 to /30.
  dhcp: 10.77.0.0/24

  # Networks behind clients: clients in 10.77.0.0/24 reach 192.168.1.0/24 through 10.77.0.2.
  # sdwan: 10.77.0.0/24,192.168.1.0/24,10.77.0.2

  # Which source addresses a client may send from: strict (its own), routes (also those of
  # networks behind it, see sdwan) or off (any).
  # source-check: routes

  # Who may take an address that is in use: any (the newest wins, as with the original server)
  # or same-device.
  # takeover: any

  # Take clients whose clock is wrong, as the original server does.
  # lenient: false
`

import { parseArgs } from 'node:util'

export const HELP = `\
Usage: npm run demo -- [options]

A relay and its peers in one process, without root: real WebSockets on the loopback address, and pings and UDP datagrams
through the whole stack. Each peer talks to the next one.

Options:
  --peers N     how many, 2 to 8 (default: 4)
  --seconds N   end after that long (default: at Ctrl-C)
  --json        a JSON line a second, and a last one as summary
  -h, --help    show this help`

export interface Options {
  help: boolean
  json: boolean
  peers: number
  seconds: number | undefined
}

const LONGEST = 24 * 60 * 60

/** Throws an error with a text for the user. */
export function parseOptions (args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      json: { type: 'boolean', default: false },
      peers: { type: 'string', default: '4' },
      seconds: { type: 'string' }
    }
  })
  const { help = false, json = false, peers = '', seconds } = values
  return { help, json, peers: number('peers', peers, 2, 8), seconds: seconds === undefined ? undefined : number('seconds', seconds, 1, LONGEST) }
}

function number (name: string, text: string, from: number, to: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < from || value > to) throw new Error(`--${name} is a whole number of ${from} to ${to}, not ${JSON.stringify(text)}`)
  return value
}

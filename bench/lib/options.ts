/** The command line of the bench. */
import { parseArgs } from 'node:util'
import { nearest } from '../../src/cli/nearest.ts'
import { UsageError } from '../../src/cli/usage-error.ts'

export interface Options {
  groups: string[]
  full: boolean
  json: boolean
  charts: boolean
  fetch: boolean
  help: boolean
  rounds?: number
}

const FLAGS = {
  full: { type: 'boolean' },
  json: { type: 'boolean' },
  charts: { type: 'boolean' },
  fetch: { type: 'boolean' },
  rounds: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const

const MAX_ROUNDS = 1000

/** @param groups what there is, each with what it is about */
export const help = (groups: Record<string, string>): string => `npm run bench -- [OPTION]... [GROUP]...

Measures tunpipe beside what else does the same on this machine. Without a GROUP all of them:

${Object.entries(groups).map(([name, about]) => `  ${name.padEnd(10)}${about}`).join('\n')}

  --full        all cases, medians of more and longer rounds; otherwise a quick run, of a few minutes for all groups
  --rounds N    so many rounds, in place of what the group thinks right
  --json        a line of JSON for each row, as soon as it is known, and no tables
  --charts      also writes docs/bench/GROUP.svg
  --fetch       downloads and builds, with go, the newest wireguard-go to compare with; kept for later runs in node_modules/.cache
  -h, --help

  npm run bench
  npm run bench -- relay layers
  npm run bench -- --full --fetch --charts
  npm run bench -- tun --full --json > figures.jsonl
  WIREGUARD_GO_BIN=/opt/wireguard-go npm run bench -- tun      compares with that one as well
  NATPASS_SERVER_BIN=/usr/bin/np-svr npm run bench -- natpass       the same, with the original server of natpass
  HBBS_BIN=/usr/bin/hbbs HBBR_BIN=/usr/bin/hbbr npm run bench -- rustdesk       the same, with the original servers of RustDesk
  BENCH_ROWS=punches npm run bench -- rustdesk       of relay, presence, punches, registrations and peers only these

Rows of the group tun need root and iperf3, and are compared with wireguard-go, openvpn and socat where these are installed; those of the
group rustdesk need root, koffi and libsql. What cannot be measured is named, with the reason. Exit codes: 0 done, 1 something has failed,
2 bad usage, 130 interrupted.`

/** @throws {UsageError} for what it does not know, with what may have been meant */
export function readOptions (args: string[], groups: string[]): Options {
  const { values, tokens } = parseArgs({ args, options: FLAGS, strict: false, allowPositionals: true, tokens: true })
  const chosen: string[] = []
  for (const token of tokens) {
    if (token.kind === 'option') check(token.rawName, token.value)
    else if (token.kind === 'positional') chosen.push(known('group', token.value, groups))
  }
  return {
    groups: chosen.length > 0 ? groups.filter((group) => chosen.includes(group)) : groups,
    full: values.full === true,
    json: values.json === true,
    charts: values.charts === true,
    fetch: values.fetch === true,
    help: values.help === true,
    rounds: values.rounds === undefined ? undefined : readRounds(values.rounds)
  }
}

function check (rawName: string, value: string | undefined): void {
  if (rawName === '-h') return
  const name = known('option', rawName, Object.keys(FLAGS).map((flag) => `--${flag}`)).slice(2)
  if (name !== 'rounds' && value !== undefined) throw new UsageError(`${rawName} takes no value`)
}

function known (kind: string, word: string, all: string[]): string {
  if (all.includes(word)) return word
  const near = nearest(word, all)
  throw new UsageError(`no such ${kind}: ${word}${near === undefined ? '' : `; did you mean ${near}?`} There are ${all.join(', ')}`)
}

function readRounds (text: unknown): number {
  const rounds = Number(text)
  if (typeof text !== 'string' || !Number.isInteger(rounds) || rounds < 1 || rounds > MAX_ROUNDS) throw new UsageError(`--rounds: a whole number from 1 to ${MAX_ROUNDS}`)
  return rounds
}

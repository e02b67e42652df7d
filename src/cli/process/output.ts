import { jsonNotice, stdoutLines, textNotice } from './bounded-lines.ts'

/** Output on stdout: for people one line an event, with `--json` one JSON object a line. Logs go to stderr. */
export interface Output {
  /**
   * A listener listens, or a peer is connected: `ready candy ws://127.0.0.1:8080`. Details follow:
   * `ready candy tun://candy/10.77.0.1/24 offloads=checksum,tcp`.
   */
  ready (protocol: string, url: string, details?: Record<string, readonly string[]>): void
  /** An event for programs only; people have the log. */
  event (name: string, fields: Record<string, unknown>): void
  /** Text for people; omitted with `--json`. */
  say (text: string): void
  /** Programs read the output, and stderr as well. */
  readonly isJson: boolean
}

export function createOutput (json: boolean, write: (text: string) => void = (text) => { stdoutLines.write(text) }): Output {
  stdoutLines.notice = json ? jsonNotice : textNotice
  const event = (name: string, fields: Record<string, unknown>): void => {
    if (json) write(`${JSON.stringify({ event: name, ...fields })}\n`)
  }
  return {
    isJson: json,
    event,
    ready (protocol, url, details = {}) {
      if (json) event('ready', { protocol, url, ...details })
      else write(`${['ready', protocol, url, ...Object.entries(details).map(([name, values]) => `${name}=${values.join(',')}`)].join(' ')}\n`)
    },
    say (text) {
      if (!json) write(`${text}\n`)
    }
  }
}

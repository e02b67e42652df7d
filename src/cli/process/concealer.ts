/** Shorter ones occur in words by chance. */
const SHORTEST_SECRET = 6

/** Takes secrets out of lines: a second net, since nobody hands one to a log in the first place. */
export class Concealer {
  #hidden: string[] = []

  constructor (secrets: readonly string[] = []) { this.hide(secrets) }

  /** These as well, from now on. Digits alone are let through, as a JSON line without its numbers is none. */
  hide (secrets: readonly string[]): void {
    const forms = secrets
      .filter((secret) => secret.length >= SHORTEST_SECRET && !/^[\d.,:{}[\]+-]*$/.test(secret))
      .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
    this.#hidden = [...new Set([...this.#hidden, ...forms])]
  }

  conceal (line: string): string {
    return this.#hidden.reduce((text, secret) => text.replaceAll(secret, '[redacted]'), line)
  }
}

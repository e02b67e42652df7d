/** Shorter ones occur in words by chance. */
const MIN_SECRET = 6

/** Takes secrets out of lines: a second net, since nobody hands one to a log in the first place. */
export class Redactor {
  #secrets: string[] = []

  constructor (secrets: readonly string[] = []) { this.add(secrets) }

  /** These as well, from now on. Digits alone are let through, as a JSON line without its numbers is none. */
  add (secrets: readonly string[]): void {
    const forms = secrets
      .filter((secret) => secret.length >= MIN_SECRET && !/^[\d.,:{}[\]+-]*$/.test(secret))
      .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
    this.#secrets = [...new Set([...this.#secrets, ...forms])]
  }

  redact (line: string): string {
    return this.#secrets.reduce((text, secret) => text.replaceAll(secret, '[redacted]'), line)
  }
}

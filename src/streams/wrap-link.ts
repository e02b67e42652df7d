/** A link with some of its members replaced. */

/** Members of a link, or of what has more than a link has. */
type Overrides<L> = { [K in keyof L]?: L[K] | undefined }

/**
 * The same link with other members in the place of some: whatever else it has stays, what is asked for is asked of the lower one
 * each time. An override that is undefined hides what the lower link has.
 *
 * A proxy: an object that inherits would not do, as links are classes whose private fields are found on the link itself only. One
 * look-up costs about 0.1 us, so whoever needs a member for each packet keeps it.
 */
export function wrapLink<L extends object> (lower: L, overrides: Overrides<L>): L {
  return new Proxy(lower, {
    get (link, key) {
      if (Object.hasOwn(overrides, key)) return Reflect.get(overrides, key)
      const value: unknown = Reflect.get(link, key)
      const isMethod = typeof value === 'function' && !Object.hasOwn(link, key) // an own function may have been set by a user, who gets it back
      return isMethod ? value.bind(link) : value
    },
    set: (link, key, value) => Reflect.set(link, key, value)
  })
}

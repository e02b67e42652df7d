/** A link with some of its members replaced. */

/** Members of a link, or of an object that extends one. */
/** Members to replace; undefined removes one. */
export type Overrides<L> = { [K in keyof L]?: L[K] | undefined }

/**
 * The same link with some members replaced. All other members are looked up in the lower link at each access. An override of undefined
 * hides a member.
 *
 * A proxy and not an object that inherits, as links are classes whose private fields exist on the link itself only. A look-up costs about
 * 0.1 us, so code that needs a member per packet keeps it.
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

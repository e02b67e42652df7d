/**
 * An empty list for objects. V8 takes an array without elements for one of small integers, and gives it another class with the first
 * object; code that is optimised for the one is discarded when it meets the other. For lists that a packet goes through and that live long.
 */
export function objectList<T extends object> (): T[] {
  const list: object[] = [{}]
  list.pop()
  return list as T[]
}

/** Lets the event loop answer others before a long computation goes on. */
export function giveWay(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

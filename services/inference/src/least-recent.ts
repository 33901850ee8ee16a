/** Things that cost to make and to keep, by key: those used last stay, the others are disposed of. For one user at a time. */
export class LeastRecent<T extends { dispose(): Promise<void> }> {
  private readonly kept = new Map<string, T>();

  constructor(private readonly capacity: number) {}

  /** What is kept under the key, or made now. Room is made before, so that there are never more than `capacity`. */
  async get(key: string, make: () => Promise<T>): Promise<{ value: T; made: boolean }> {
    const there = this.kept.get(key);
    if (there) {
      this.kept.delete(key);
      this.kept.set(key, there); // last in the order: used last
      return { value: there, made: false };
    }
    while (this.kept.size >= this.capacity) {
      const [oldest, value] = this.kept.entries().next().value as [string, T];
      this.kept.delete(oldest);
      await value.dispose();
    }
    const value = await make();
    this.kept.set(key, value);
    return { value, made: true };
  }

  async clear(): Promise<void> {
    const all = [...this.kept.values()];
    this.kept.clear();
    await Promise.allSettled(all.map((value) => value.dispose()));
  }
}

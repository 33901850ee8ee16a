/**
 * Does the same for one key over and over, never twice at once. Who asks while it is done gets what is begun after that;
 * all who ask meanwhile share one.
 */
export class OneAfterTheOther<T> {
  private readonly underWay = new Map<string, Promise<T>>();
  private readonly next = new Map<string, Promise<T>>();

  run(key: string, work: () => Promise<T>): Promise<T> {
    const shared = this.next.get(key);
    if (shared) return shared;
    const task = this.after(key, work);
    this.next.set(key, task);
    void task.then(
      () => this.over(key, task),
      () => this.over(key, task),
    );
    return task;
  }

  private async after(key: string, work: () => Promise<T>): Promise<T> {
    await this.underWay.get(key)?.catch(() => undefined); // who asked for that one hears of it
    this.underWay.set(key, this.next.get(key)!);
    this.next.delete(key);
    return work();
  }

  private over(key: string, task: Promise<T>): void {
    if (this.underWay.get(key) === task) this.underWay.delete(key);
  }
}

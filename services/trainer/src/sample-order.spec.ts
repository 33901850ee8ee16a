import { SampleOrder } from './sample-order';

const epoch = (order: SampleOrder, number: number): number[] =>
  Array.from({ length: order.count }, (_, i) => order.at(number * order.count + i));

describe('the order of a run', () => {
  it('visits every sample once an epoch, in another order each time', () => {
    const order = new SampleOrder(50, 3);
    const epochs = [0, 1, 2].map((number) => epoch(order, number));
    for (const visited of epochs)
      expect([...visited].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(new Set(epochs.map(String)).size).toBe(3);
  });

  it('is a function of seed and position alone, whoever asks and from where', () => {
    const all = epoch(new SampleOrder(20, 9), 0).concat(epoch(new SampleOrder(20, 9), 1));
    const late = new SampleOrder(20, 9);
    for (const position of [39, 0, 25, 7, 20]) expect(late.at(position)).toBe(all[position]);
    expect(epoch(new SampleOrder(20, 10), 0)).not.toEqual(all.slice(0, 20));
  });

  it('has no favourites: each sample is first about as often as the others', () => {
    const order = new SampleOrder(5, 1);
    const first = [0, 0, 0, 0, 0];
    for (let number = 0; number < 5000; number++) first[order.at(number * 5)]!++;
    // 1000 each, standard deviation 28: six of them.
    for (const times of first) expect(Math.abs(times - 1000)).toBeLessThan(170);
  });

  it('stays what it was: runs that were begun with an earlier version go on exactly', () => {
    expect(epoch(new SampleOrder(10, 42), 0)).toEqual([8, 6, 0, 7, 2, 4, 9, 3, 1, 5]);
  });
});

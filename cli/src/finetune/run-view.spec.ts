import type { RunEvent } from '@atelier/jobs';
import { Output } from '../output';
import { RunView } from './run-view';

/** What a person reads of these events where no bar can be drawn: jest's stderr is no terminal. */
function read(events: RunEvent[], json = false): { notes: string[]; objects: object[] } {
  const notes: string[] = [];
  const objects: object[] = [];
  class Kept extends Output {
    override note(text: string): void {
      notes.push(text);
    }
    override object(value: object): void {
      if (this.json) objects.push(value);
    }
  }
  const view = new RunView(new Kept(json));
  for (const event of events) view.show(event);
  view.close();
  return { notes, objects };
}

const summary = (latents: number, prompts: number): RunEvent => ({
  type: 'encoding',
  latents_total: 3,
  latents_cached: latents,
  prompts_total: 3,
  prompts_cached: prompts,
});
const encoded = (kind: string, key: string): RunEvent => ({
  type: 'encoded',
  kind,
  key,
  name: `${key}.png`,
  seconds: 1,
});
const step = (n: number): RunEvent => ({
  type: 'step',
  step: n,
  total_steps: 2,
  loss: 0.5,
  learning_rate: 1e-4,
  grad_norm: 1,
  step_seconds: 1,
  eta_seconds: 2 - n,
});

describe('a run as it is shown', () => {
  const isTTY = process.stderr.isTTY;
  beforeAll(() => (process.stderr.isTTY = false));
  afterAll(() => (process.stderr.isTTY = isTTY));

  test('with everything cached it says that there is nothing to encode', () => {
    expect(read([summary(3, 3)]).notes).toEqual(['encoding   nothing to encode: all 3 latents and 3 prompts cached']);
  });

  test('what is told twice is counted once', () => {
    const { notes } = read([summary(1, 3), encoded('latents', 'a'), encoded('latents', 'a'), encoded('latents', 'b')]);
    expect(notes).toEqual([
      expect.stringMatching(/^encoding: 2\/2 {2}latents 3\/3 \(1 cached\), prompts 3\/3 \(3 cached\)/),
    ]);
  });

  test('when training begins all is encoded, though an encoder was faster than the summary', () => {
    expect(
      read([
        summary(1, 3),
        encoded('latents', 'a'),
        { type: 'status', status: 'training', preemptions: 0, waits_for: null },
      ]).notes[0],
    ).toMatch(/^encoding: 2\/2/);
  });

  test('what could not be encoded is named, and not counted as done', () => {
    const { notes } = read([
      summary(1, 3),
      encoded('latents', 'a'),
      { type: 'encode_failed', kind: 'latents', key: 'b', name: 'b.png', reason: 'it is cut off' },
      step(1),
    ]);
    expect(notes[0]).toBe('left out b.png: its latents could not be made: it is cut off');
    expect(notes[1]).toMatch(/^encoding: 1\/2/);
  });

  test('the last step stays with its loss and learning rate', () => {
    const { notes } = read([step(1), step(2), { type: 'finished', message: '' }]);
    expect(notes).toEqual([expect.stringMatching(/^training: 2\/2 {2}loss 0\.5000 {2}lr 0\.000100 {2}in \d+s$/)]);
  });

  test('that it was put down is said once each time', () => {
    const training = (preemptions: number): RunEvent => ({
      type: 'status',
      status: 'training',
      preemptions,
      waits_for: null,
    });
    const { notes } = read([training(0), training(1), training(1), training(2)]);
    expect(notes).toEqual([
      expect.stringMatching(/^preempted 1×: its trainer was stopped/),
      expect.stringMatching(/^preempted 2×/),
    ]);
  });

  test('--json gives the events as they are, and nothing for people', () => {
    const events = [summary(0, 0), encoded('prompts', 'a'), step(1)];
    expect(read(events, true)).toEqual({ notes: [], objects: events });
  });
});

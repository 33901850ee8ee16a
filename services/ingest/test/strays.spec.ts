import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** In a process of its own: an unhandled rejection would be the test runner's. */
it('a rejection that nobody awaits is the failure of the file in whose reading it was started, and of no other', async () => {
  const script = `
    const { WatchedHand } = require(${JSON.stringify(join(__dirname, '..', 'dist', 'reading', 'worker', 'watched-hand.js'))});
    const { setTimeout: sleep } = require('node:timers/promises');
    const hand = new WatchedHand(() => Promise.resolve(), new Map());
    process.on('unhandledRejection', (error) => hand.stray(error));
    const stray = (after) => void sleep(after).then(() => { throw new Error('stray'); });
    const told = (name, work) => hand.over(name, work).then(() => name + ' fine', (error) => name + ' ' + error.name + ' ' + error.message);
    Promise.all([
      told('leaves one', async () => { stray(10); await sleep(1000); }),
      told('beside it', () => sleep(200)),
      told('past before', async () => stray(20)),
    ]).then((all) => console.log(JSON.stringify(all)));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
  expect(JSON.parse(stdout)).toEqual([
    'leaves one BadFile cannot be read: stray',
    'beside it fine',
    'past before fine',
  ]);
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * A process whose start takes so long, sent a signal when it has begun, as soon as the handler of signals may be there.
 */
async function signalled(startMs: number, signal: NodeJS.Signals): Promise<{ code: number | null; said: string }> {
  const script = `
    const { runUntilSignal } = require('@atelier/mesh');
    const stop = async () => console.log('stopped');
    const start = () => { console.log('starts'); return new Promise((started) => setTimeout(() => started({ stop }), ${startMs})); };
    void runUntilSignal(start, 'test');`;
  const child = spawn(process.execPath, ['-e', script], { cwd: __dirname, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  const ended = once(child, 'close') as Promise<[number | null]>;
  await once(child.stdout, 'data');
  child.kill(signal);
  const [code] = await ended;
  return { code, said };
}

it('a service whose one piece of work is over ends as at a signal', async () => {
  const script = `
    const { runUntilSignal } = require('@atelier/mesh');
    const over = new Promise((resolve) => setTimeout(resolve, 100));
    void runUntilSignal(async () => ({ over, stop: async () => console.log('stopped') }), 'test');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['-e', script], { cwd: __dirname, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  expect({ code, said }).toEqual({ code: 0, said: 'stopped\n' });
});

describe('a service that is sent a signal while it starts', () => {
  it.each<NodeJS.Signals>(['SIGTERM', 'SIGINT'])('%s: stops in order when it has started', async (signal) => {
    expect(await signalled(500, signal)).toEqual({ code: 0, said: 'starts\nstopped\n' });
  });

  it('and does not come to an end of starting: ends all the same', async () => {
    expect(await signalled(60_000, 'SIGTERM')).toEqual({ code: 0, said: 'starts\n' });
  });
});

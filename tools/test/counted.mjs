// A command whose last line is "N passed, M failed": node tools/test/counted.mjs PROJECT TARGET COMMAND...
import { spawn } from 'node:child_process';
import { forgetResult, writeResult } from './results.mjs';

const [project, target, command, ...args] = process.argv.slice(2);
forgetResult(project, target);
const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
let tail = '';
child.stdout.on('data', (data) => {
  process.stdout.write(data);
  tail = (tail + data).slice(-1000);
});
child.once('error', (error) => console.error(`${target}: ${error.message}`));
child.once('close', (code, signal) => {
  const counts = /(?:^|\n)(\d+) passed, (\d+) failed\s*$/.exec(tail);
  if (!counts)
    console.error(`${target}: ${command} ended with ${signal ?? `exit code ${code}`} before it had counted its cases`);
  const passed = Number(counts?.[1] ?? 0);
  const failed = Math.max(Number(counts?.[2] ?? 1), Number(code !== 0));
  writeResult(project, target, { passed, failed });
  process.exitCode = failed === 0 ? 0 : 1;
});

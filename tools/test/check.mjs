// A check that passes or fails as a whole, counted as one test case: node tools/test/check.mjs PROJECT TARGET COMMAND...
import { spawnSync } from 'node:child_process';
import { forgetResult, writeResult } from './results.mjs';

const [project, target, command, ...args] = process.argv.slice(2);
forgetResult(project, target);
const { status, signal, error } = spawnSync(command, args, { stdio: 'inherit' });
if (error) console.error(`${target}: ${error.message}`);
if (signal) console.error(`${target}: ended by ${signal}`);
const passed = status === 0;
writeResult(project, target, { passed: Number(passed), failed: Number(!passed) });
process.exit(passed ? 0 : 1);

// The engine's rooms alone, of this tree or of another: what stands against native/src/floors.txt, or how often.
// check-native-boundaries.mjs [--count] [--root DIR]   --count: figures alone, exit code 0
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { checkNative } from './native-boundaries.mjs';
import { root as here } from './workspace.mjs';

const { values: options } = parseArgs({
  options: { count: { type: 'boolean', default: false }, root: { type: 'string', default: here } },
});
const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: options.root, encoding: 'utf8' });
const files = listed.split('\n').filter(Boolean);
const { problems, counts } = checkNative(options.root, files);
if (options.count) {
  console.log(counts);
} else {
  for (const problem of problems) console.error(`boundary: ${problem}`);
  console.log(problems.length ? `${problems.length} boundaries crossed` : `boundaries kept in ${files.length} files`);
  process.exitCode = problems.length ? 1 : 0;
}

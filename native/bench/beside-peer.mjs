// Ours and diffusers' figures of the same work, taken in turns in one run, and their ratios: what noise of the machine there is, both have.
// node native/bench/beside-peer.mjs PYTHON [--presets tiny,small] [--rounds 3]
//   PYTHON: an interpreter with torch, diffusers, peft and transformers (PYTHONPATH is passed on)
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const here = import.meta.dirname;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { presets: { type: 'string', default: 'tiny,small' }, rounds: { type: 'string', default: '3' } },
});
const [python] = positionals;
if (!python)
  throw new Error('usage: node native/bench/beside-peer.mjs PYTHON [--presets tiny,small,medium] [--rounds 3]');
const bench = join(here, '..', 'build', 'bench', 'step_bench');

const last = (text) => JSON.parse(text.trim().split('\n').at(-1));
const ours = (preset, ...more) => last(execFileSync(bench, ['--preset', preset, ...more], { encoding: 'utf8' }));
const theirs = (preset, ...more) =>
  last(
    execFileSync(python, [join(here, 'peer.py'), '--preset', preset, ...more], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

const model = mkdtempSync(join(tmpdir(), 'atelier-peer-'));
const works = [
  {
    work: 'LoRA step, float32, nothing recomputed',
    field: 'step_s_median',
    ours: ['--mode', 'train', '--quant', 'none', '--recompute', '0'],
    theirs: ['--mode', 'train'],
  },
  {
    work: 'LoRA step, NF4, recompute (peer: and bf16)',
    field: 'step_s_median',
    ours: ['--mode', 'train', '--quant', 'nf4', '--recompute', '1'],
    theirs: ['--mode', 'train', '--quant', 'nf4', '--recompute', '--dtype', 'bf16'],
  },
  {
    work: '4-step picture, float32',
    field: 'step_s_median',
    ours: ['--mode', 'infer', '--quant', 'none'],
    theirs: ['--mode', 'infer'],
  },
  {
    work: 'process start to the end of the first step',
    field: 'startup_to_first_step_s',
    ours: ['--mode', 'startup', '--quant', 'none', '--load', model],
    theirs: ['--mode', 'startup', '--load', model],
  },
];

console.log(
  '| preset | work | Atelier | diffusers + peft | ratio | peak MB | peer MB | share |\n|---|---|---|---|---|---|---|---|',
);
try {
  for (const preset of values.presets.split(',')) {
    execFileSync(bench, ['--preset', preset, '--save', model]);
    for (const { work, field, ...args } of works) {
      const taken = Array.from({ length: Number(values.rounds) }, () => [
        ours(preset, ...args.ours),
        theirs(preset, ...args.theirs),
      ]);
      const [mine, peer] = [0, 1].map((side) => ({
        time: median(taken.map((pair) => pair[side][field])),
        peak: median(taken.map((pair) => pair[side].peak_rss_mb)),
      }));
      console.log(
        `| ${preset} | ${work} | ${mine.time.toFixed(3)} s | ${peer.time.toFixed(3)} s | ${(peer.time / mine.time).toFixed(2)} x | ${mine.peak.toFixed(0)} | ${peer.peak.toFixed(0)} | ${((100 * mine.peak) / peer.peak).toFixed(0)} % |`,
      );
    }
  }
} finally {
  rmSync(model, { recursive: true, force: true });
}

import type { Command } from 'commander';
import type { ExitCode } from './exit-codes';
import { Interrupt } from './interrupt';
import { Output } from './output';
import { readSettings, type GlobalFlags, type Settings } from './settings';

/** What every command works with. */
export interface Context {
  settings: Settings;
  out: Output;
  interrupt: Interrupt;
}

type Run<Options> = (context: Context, options: Options, ...args: string[]) => Promise<ExitCode | void>;

/** A command's body as commander calls it: arguments, options, command. Its errors become one line and an exit code. */
export function handle<Options = object>(run: Run<Options & GlobalFlags>): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<Options & GlobalFlags>();
    const out = new Output(options.json ?? false);
    const interrupt = new Interrupt();
    try {
      const args = given.slice(0, -2) as string[];
      process.exitCode = (await run({ settings: readSettings(options), out, interrupt }, options, ...args)) ?? 0;
    } catch (error) {
      process.exitCode = out.error(error);
    } finally {
      interrupt.dispose();
    }
  };
}

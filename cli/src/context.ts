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

type Args = (string | string[])[];
type Run<Options, Given extends Args> = (
  context: Context,
  options: Options,
  ...args: Given
) => Promise<ExitCode | void>;

/**
 * A command's body as commander calls it: arguments, options, command. Its errors become one line and an exit code. An argument that may
 * come several times is a list: handle<Flags, [files: string[]]>.
 */
export function handle<Options = object, Given extends Args = string[]>(
  run: Run<Options & GlobalFlags, Given>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<Options & GlobalFlags>();
    const out = new Output(options.json ?? false);
    const interrupt = new Interrupt();
    try {
      const args = given.slice(0, -2) as Given;
      process.exitCode = (await run({ settings: readSettings(options), out, interrupt }, options, ...args)) ?? 0;
    } catch (error) {
      process.exitCode = out.error(error);
    } finally {
      interrupt.dispose();
    }
  };
}
